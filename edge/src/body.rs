//! Bodies, read within their limit.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::StatusCode;

use crate::problem::Problem;

/// The largest request body, in bytes.
pub const MAX_BODY_BYTES: usize = 1 << 20;

/// The bytes of a body as an event holds it: text, or base64 where it is not UTF-8.
pub fn read_body(body: Option<String>, is_base64: bool) -> Result<Vec<u8>, Problem> {
    let body = body.unwrap_or_default();
    // Base64 grows by a third: what cannot fit is refused before it is decoded.
    let bound = if is_base64 { MAX_BODY_BYTES.div_ceil(3) * 4 } else { MAX_BODY_BYTES };
    if body.len() > bound {
        return Err(too_large());
    }
    if !is_base64 {
        return Ok(body.into_bytes());
    }
    let bytes = STANDARD.decode(body).map_err(|_| {
        Problem::new(StatusCode::BAD_REQUEST, "invalid_body", "the body is marked as base64 and is not")
    })?;
    if bytes.len() > MAX_BODY_BYTES { Err(too_large()) } else { Ok(bytes) }
}

fn too_large() -> Problem {
    let detail = format!("the body is larger than {MAX_BODY_BYTES} bytes; send fewer events at a time");
    Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_is_on_what_was_sent_not_on_its_encoding() {
        let exact = vec![b'x'; MAX_BODY_BYTES];
        let more = vec![b'x'; MAX_BODY_BYTES + 1];
        assert_eq!(read_body(Some(STANDARD.encode(&exact)), true).unwrap(), exact);
        assert_eq!(read_body(String::from_utf8(exact).ok(), false).unwrap().len(), MAX_BODY_BYTES);
        for (body, is_base64) in [(STANDARD.encode(&more), true), (String::from_utf8(more).unwrap(), false)] {
            let refused = read_body(Some(body), is_base64).unwrap_err();
            assert_eq!((refused.status.as_u16(), refused.code), (413, "body_too_large"));
        }
        assert_eq!(read_body(Some("%".to_owned()), true).unwrap_err().code, "invalid_body");
    }
}
