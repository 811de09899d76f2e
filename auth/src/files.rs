//! Key files: a pair is made once and never overwritten, and public keys are read from a file or a directory.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use crate::key::{KeyError, PublicKey, SecretKey};

/// The most public keys at a time: rotation needs two.
pub const MAX_KEYS: usize = 16;
/// The longest key file: a key has a hundred bytes.
const MAX_FILE_BYTES: u64 = 64 << 10;

/// Key files that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    /// The file system refused.
    #[error("cannot {action} {}: {error}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On which file or directory.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// Never overwritten.
    #[error("{} is there already, and a key is never overwritten; give another name", path.display())]
    Exists {
        /// Which file.
        path: PathBuf,
    },
    /// What is in it.
    #[error("{} {error}", path.display())]
    Key {
        /// Which file.
        path: PathBuf,
        /// What is wrong.
        error: KeyError,
    },
    /// Larger than keys are.
    #[error("{} is larger than {MAX_FILE_BYTES} bytes, which no file of keys is", path.display())]
    TooLarge {
        /// Which file.
        path: PathBuf,
    },
    /// A secret that others can read.
    #[error("{} can be read by others than its owner; `chmod 600` it, or make a new key", path.display())]
    Open {
        /// Which file.
        path: PathBuf,
    },
    /// No keys at all.
    #[error("{} holds no file that ends in .pub or .pem; put the public keys of those who mint tokens there", path.display())]
    Empty {
        /// The directory.
        path: PathBuf,
    },
    /// More than are kept.
    #[error("{} holds more than {MAX_KEYS} public keys; remove those that no token needs any more", path.display())]
    TooMany {
        /// The file or directory.
        path: PathBuf,
    },
}

fn failed(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> KeyFileError {
    let path = path.to_owned();
    move |error| KeyFileError::Io { action, path, error }
}

/// Reads public keys: all of a file, or all of the files of a directory that end in `.pub` or `.pem`.
pub fn read_public_keys(path: &Path) -> Result<Vec<PublicKey>, KeyFileError> {
    let mut files = Vec::new();
    if fs::metadata(path).map_err(failed("read", path))?.is_dir() {
        for entry in fs::read_dir(path).map_err(failed("read", path))? {
            let file = entry.map_err(failed("read", path))?.path();
            let hidden = file.file_name().is_none_or(|name| name.as_encoded_bytes().starts_with(b"."));
            if !hidden && file.extension().is_some_and(|end| end == "pub" || end == "pem") {
                files.push(file);
            }
            // Bounded before anything is read: each file has a key or more.
            if files.len() > MAX_KEYS {
                return Err(KeyFileError::TooMany { path: path.to_owned() });
            }
        }
        files.sort();
    } else {
        files.push(path.to_owned());
    }
    let mut keys: Vec<PublicKey> = Vec::new();
    for file in files {
        let error = |error| KeyFileError::Key { path: file.clone(), error };
        for key in PublicKey::all_from_pem(&read(&file)?).map_err(error)? {
            if !keys.contains(&key) {
                keys.push(key);
            }
        }
    }
    match keys.len() {
        0 => Err(KeyFileError::Empty { path: path.to_owned() }),
        1..=MAX_KEYS => Ok(keys),
        _ => Err(KeyFileError::TooMany { path: path.to_owned() }),
    }
}

/// Reads the key that signs tokens. A file that others can read is refused.
pub fn read_secret_key(path: &Path) -> Result<SecretKey, KeyFileError> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = fs::metadata(path).map_err(failed("read", path))?.permissions().mode();
        if mode & 0o077 != 0 {
            return Err(KeyFileError::Open { path: path.to_owned() });
        }
    }
    SecretKey::from_pem(&read(path)?).map_err(|error| KeyFileError::Key { path: path.to_owned(), error })
}

fn read(path: &Path) -> Result<Zeroizing<String>, KeyFileError> {
    let file = File::open(path).map_err(failed("read", path))?;
    let mut text = Zeroizing::new(String::new());
    file.take(MAX_FILE_BYTES + 1).read_to_string(&mut text).map_err(failed("read", path))?;
    if text.len() as u64 > MAX_FILE_BYTES {
        return Err(KeyFileError::TooLarge { path: path.to_owned() });
    }
    Ok(text)
}

/// Writes a pair: the secret into `path`, for its owner alone, and the public key beside it; answers where.
pub fn write_key_pair(path: &Path, key: &SecretKey) -> Result<PathBuf, KeyFileError> {
    let mut public = path.as_os_str().to_owned();
    public.push(".pub");
    let public = PathBuf::from(public);
    let mut secret_file = create(path, 0o600)?;
    let written = create(&public, 0o644).and_then(|mut public_file| {
        write(&mut secret_file, path, &key.to_pem())?;
        write(&mut public_file, &public, &key.public().to_pem()).inspect_err(|_| {
            // The error of the write is the one to report.
            let _ = fs::remove_file(&public);
        })
    });
    match written {
        Ok(()) => Ok(public),
        Err(error) => {
            // Made by this call, and of no use: nobody has a token of it.
            let _ = fs::remove_file(path);
            Err(error)
        }
    }
}

fn create(path: &Path, mode: u32) -> Result<File, KeyFileError> {
    let mut options = File::options();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, mode);
    options.open(path).map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => KeyFileError::Exists { path: path.to_owned() },
        _ => failed("make", path)(error),
    })
}

fn write(file: &mut File, path: &Path, text: &str) -> Result<(), KeyFileError> {
    file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(failed("write", path))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_pair_is_the_owners_alone_and_is_never_overwritten() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("mint");
        let key = SecretKey::generate().unwrap();
        let public = write_key_pair(&path, &key).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(read_secret_key(&path).unwrap().public(), key.public());
        assert_eq!(read_public_keys(&public).unwrap(), [key.public()]);
        // The directory holds the secret too, under a name that is not looked at.
        assert_eq!(read_public_keys(dir.path()).unwrap(), [key.public()]);
        let other = SecretKey::generate().unwrap();
        assert!(matches!(write_key_pair(&path, &other), Err(KeyFileError::Exists { .. })));
        fs::remove_file(&path).unwrap();
        assert!(matches!(write_key_pair(&path, &other), Err(KeyFileError::Exists { .. })));
        assert!(!path.exists(), "half of a pair is not left behind");
        assert_eq!(read_public_keys(&public).unwrap(), [key.public()]);
    }

    #[test]
    fn what_cannot_be_used_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let keys = dir.path().join("keys");
        let refused = |path: &Path| read_public_keys(path).unwrap_err().to_string();
        assert!(refused(&keys).contains("cannot read"), "{}", refused(&keys));
        fs::create_dir(&keys).unwrap();
        assert!(refused(&keys).contains("holds no file that ends in .pub"), "{}", refused(&keys));
        fs::write(keys.join("README"), "not looked at").unwrap();
        let secret = SecretKey::generate().unwrap();
        fs::write(keys.join("a.pem"), secret.to_pem().as_bytes()).unwrap();
        assert!(refused(&keys).contains("a server has public keys only"), "{}", refused(&keys));
        fs::write(keys.join("a.pem"), "x".repeat(70_000)).unwrap();
        assert!(refused(&keys).contains("larger than"), "{}", refused(&keys));
        let many = |n: usize| {
            let pems: Vec<_> = (0..n).map(|_| SecretKey::generate().unwrap().public().to_pem()).collect();
            fs::write(keys.join("a.pem"), pems.concat()).unwrap();
        };
        many(MAX_KEYS);
        assert_eq!(read_public_keys(&keys).unwrap().len(), MAX_KEYS);
        many(MAX_KEYS + 1);
        assert!(refused(&keys).contains("more than 16"), "{}", refused(&keys));
    }

    #[test]
    fn a_secret_that_others_can_read_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("mint");
        write_key_pair(&path, &SecretKey::generate().unwrap()).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        assert!(matches!(read_secret_key(&path), Err(KeyFileError::Open { .. })));
    }
}
