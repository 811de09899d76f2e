//! Bodies, read within their limit: base64 where an event holds bytes so, and gzip, which is inflated no
//! further than the limit.

use std::io::Read;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use flate2::read::MultiGzDecoder;
use http::{HeaderMap, header};
use serde::de::DeserializeOwned;

use crate::code::Code;
use crate::limits::MAX_BODY_BYTES;
use crate::problem::Problem;

/// The bytes of a body as an event holds it, inflated if its `content-encoding` says so.
pub fn read_body(body: Option<String>, is_base64: bool, headers: &HeaderMap) -> Result<Vec<u8>, Problem> {
    let encoding = Encoding::of(headers)?;
    let body = body.unwrap_or_default();
    // Base64 grows by a third: what cannot fit is refused before it is decoded.
    let bound = if is_base64 { MAX_BODY_BYTES.div_ceil(3) * 4 } else { MAX_BODY_BYTES };
    if body.len() > bound {
        return Err(too_large());
    }
    let bytes = if is_base64 {
        STANDARD.decode(body).map_err(|_| {
            Problem::new(
                Code::InvalidBody,
                "the body is marked as base64 and is not; check what sent the event",
            )
        })?
    } else {
        body.into_bytes()
    };
    if bytes.len() > MAX_BODY_BYTES {
        return Err(too_large());
    }
    match encoding {
        Encoding::Identity => Ok(bytes),
        Encoding::Gzip => inflate(&bytes),
    }
}

/// What a JSON object says; the error is for people.
///
/// An array is refused: serde would read it as the fields in their order, which nobody who sends one can mean.
pub fn read_object<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, String> {
    if bytes.iter().find(|byte| !byte.is_ascii_whitespace()) != Some(&b'{') {
        return Err("it is no JSON object".to_owned());
    }
    serde_json::from_slice(bytes).map_err(|e| e.to_string())
}

/// How a body is encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Encoding {
    Identity,
    Gzip,
}

impl Encoding {
    fn of(headers: &HeaderMap) -> Result<Self, Problem> {
        let refused = |what: &str| {
            let detail = format!("the content-encoding {what}; send gzip, or the body as it is");
            Problem { accept_encoding: Some("gzip"), ..Problem::new(Code::UnsupportedEncoding, detail) }
        };
        let mut values = headers.get_all(header::CONTENT_ENCODING).iter();
        let Some(value) = values.next() else { return Ok(Self::Identity) };
        if values.next().is_some() {
            return Err(refused("comes more than once"));
        }
        match value.to_str().unwrap_or("?").trim().to_ascii_lowercase().as_str() {
            "" | "identity" => Ok(Self::Identity),
            "gzip" | "x-gzip" => Ok(Self::Gzip),
            _ => Err(refused("is none that is read")),
        }
    }
}

/// Inflates, and stops one byte past the limit: a bomb costs no more memory than an honest body.
fn inflate(bytes: &[u8]) -> Result<Vec<u8>, Problem> {
    let mut inflated = Vec::new();
    let bound = u64::try_from(MAX_BODY_BYTES).unwrap_or(u64::MAX).saturating_add(1);
    match MultiGzDecoder::new(bytes).take(bound).read_to_end(&mut inflated) {
        Ok(_) if inflated.len() > MAX_BODY_BYTES => Err(too_large()),
        Ok(_) => Ok(inflated),
        Err(error) => {
            let detail = format!("the body is marked as gzip and cannot be inflated: {error}; send it again");
            Err(Problem::new(Code::InvalidBody, detail))
        }
    }
}

/// A body past the limit.
pub fn too_large() -> Problem {
    let detail = format!(
        "the body is larger than {MAX_BODY_BYTES} bytes, as sent or when inflated; send fewer events at a time"
    );
    Problem::new(Code::BodyTooLarge, detail)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    fn plain() -> HeaderMap {
        HeaderMap::new()
    }

    fn encoded(encodings: &[&str]) -> HeaderMap {
        let value = |text: &&str| (header::CONTENT_ENCODING, text.parse().unwrap());
        let mut headers = HeaderMap::new();
        for (name, value) in encodings.iter().map(value) {
            headers.append(name, value);
        }
        headers
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn read_gzip(bytes: &[u8]) -> Result<Vec<u8>, &'static str> {
        read_body(Some(STANDARD.encode(bytes)), true, &encoded(&["gzip"])).map_err(|p| p.code.name())
    }

    #[test]
    fn the_limit_is_on_what_was_sent_not_on_its_encoding() {
        let exact = vec![b'x'; MAX_BODY_BYTES];
        let more = vec![b'x'; MAX_BODY_BYTES + 1];
        assert_eq!(read_body(Some(STANDARD.encode(&exact)), true, &plain()).unwrap(), exact);
        assert_eq!(read_body(String::from_utf8(exact).ok(), false, &plain()).unwrap().len(), MAX_BODY_BYTES);
        for (body, is_base64) in [(STANDARD.encode(&more), true), (String::from_utf8(more).unwrap(), false)] {
            let refused = read_body(Some(body), is_base64, &plain()).unwrap_err();
            assert_eq!((refused.code.status().as_u16(), refused.code), (413, Code::BodyTooLarge));
        }
        assert_eq!(read_body(Some("%".to_owned()), true, &plain()).unwrap_err().code, Code::InvalidBody);
    }

    #[test]
    fn gzip_is_inflated_up_to_the_limit_and_not_a_byte_further() {
        assert_eq!(read_gzip(&gzip(b"{}")), Ok(b"{}".to_vec()));
        let exact = vec![b' '; MAX_BODY_BYTES];
        assert_eq!(read_gzip(&gzip(&exact)), Ok(exact));
        assert_eq!(read_gzip(&gzip(&vec![b' '; MAX_BODY_BYTES + 1])), Err("body_too_large"));
        let bomb = gzip(&vec![0; 512 << 20]);
        assert!(bomb.len() < MAX_BODY_BYTES, "{}", bomb.len());
        assert_eq!(read_gzip(&bomb), Err("body_too_large"));
        let members = [gzip(b"[1"), gzip(b",2]")].concat();
        assert_eq!(read_gzip(&members), Ok(b"[1,2]".to_vec()));
    }

    #[test]
    fn a_form_is_an_object_and_not_its_fields_in_a_row() {
        #[derive(Debug, PartialEq, serde::Deserialize)]
        struct Form {
            reason: Option<String>,
        }
        let read = |text: &str| read_object::<Form>(text.as_bytes());
        assert_eq!(read(" {\"reason\":\"x\"}").unwrap(), Form { reason: Some("x".to_owned()) });
        for text in ["[\"x\"]", "[null]", "", " ", "null", "\"x\"", "{\"reason\":1}", "{} {}"] {
            assert!(read(text).is_err(), "{text}");
        }
    }

    #[test]
    fn what_is_no_gzip_or_only_half_of_it_is_refused() {
        let whole = gzip(b"{\"usage\":{\"input\":1}}");
        assert_eq!(read_gzip(b"{}"), Err("invalid_body"));
        for cut in 1..whole.len() {
            assert_eq!(read_gzip(&whole[..cut]), Err("invalid_body"), "{cut}");
        }
    }

    #[test]
    fn other_encodings_are_refused_with_what_is_read() {
        for encodings in [&["br"][..], &["gzip, br"], &["gzip", "gzip"], &["deflate"]] {
            let refused = read_body(Some("x".to_owned()), false, &encoded(encodings)).unwrap_err();
            assert_eq!((refused.code, refused.accept_encoding), (Code::UnsupportedEncoding, Some("gzip")));
        }
        for encoding in ["identity", "", "IDENTITY"] {
            assert!(read_body(Some("x".to_owned()), false, &encoded(&[encoding])).is_ok());
        }
    }
}
