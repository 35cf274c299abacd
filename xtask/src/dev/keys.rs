//! The local project's signing keys: made once, kept in the ignored `.dev/` directory.

use std::fs;
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use anyhow::{Context as _, Result};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clap::ValueEnum;
use jsonwebtoken::jwk::{Jwk, KeyOperations, PublicKeyUse, ThumbprintHash};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use p256::elliptic_curve::rand_core::{OsRng, RngCore as _};
use p256::pkcs8::EncodePrivateKey as _;
use rsa::pkcs1::EncodeRsaPrivateKey as _;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// The algorithms a Supabase project may sign with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "UPPER")]
pub(crate) enum Alg {
    /// What projects sign with by default
    Es256,
    /// A project that brought its own RSA key
    Rs256,
    /// A project that still uses the legacy secret
    Hs256,
}

/// All keys of the local project.
pub(crate) struct Keys {
    es256: PublishedKey,
    rs256: PublishedKey,
    hs256_secret: String,
    /// Made by [`Keys::rotate`], newest last; the newest signs. Forgotten when the process ends.
    rotated: Vec<PublishedKey>,
}

struct PublishedKey {
    algorithm: Algorithm,
    private: EncodingKey,
    public: Jwk,
    kid: String,
}

/// The file as it lies on disk.
#[derive(Serialize, Deserialize)]
struct KeyFile {
    es256_pkcs8: String,
    rs256_pkcs1: String,
    hs256_secret: String,
}

const FILE: &str = "keys.json";
const RSA_BITS: usize = 2048;
/// Bytes of the legacy secret before they become text; the text is what HS256 is keyed with.
const SECRET_BYTES: usize = 40;

impl Keys {
    /// Reads the keys kept in `dir`, after making them if there are none yet.
    ///
    /// Two processes may do so at once (the server and a `token` command): whoever links the file first
    /// has made the keys, and both then read the same ones.
    pub(crate) fn load_or_create(dir: &Path) -> Result<Self> {
        let path = dir.join(FILE);
        if !path.exists() {
            fs::create_dir_all(dir).with_context(|| format!("cannot create {}", dir.display()))?;
            write_once(&path, &serde_json::to_vec_pretty(&KeyFile::generate()?)?)?;
        }
        let text = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let file: KeyFile = serde_json::from_slice(&text)
            .with_context(|| format!("{} is damaged; delete it to get new keys", path.display()))?;
        Self::from_file(file)
    }

    fn from_file(file: KeyFile) -> Result<Self> {
        let ec = EncodingKey::from_ec_der(&STANDARD.decode(file.es256_pkcs8)?);
        let rsa = EncodingKey::from_rsa_der(&STANDARD.decode(file.rs256_pkcs1)?);
        Ok(Self {
            es256: PublishedKey::new(Algorithm::ES256, ec)?,
            rs256: PublishedKey::new(Algorithm::RS256, rsa)?,
            hs256_secret: file.hs256_secret,
            rotated: Vec::new(),
        })
    }

    /// The key set document, with the fields in which the real one publishes its keys.
    pub(crate) fn jwks(&self) -> Value {
        let first = [&self.es256, &self.rs256].into_iter();
        let all: Vec<_> = first.chain(&self.rotated).map(|key| &key.public).collect();
        json!({ "keys": all })
    }

    /// Signs with a new ES256 key from now on. What the ones before signed stays good: they stay published.
    pub(crate) fn rotate(&mut self) -> Result<()> {
        let der = p256::SecretKey::random(&mut OsRng)
            .to_pkcs8_der()
            .context("cannot encode the P-256 key")?;
        let key = EncodingKey::from_ec_der(der.as_bytes());
        self.rotated.push(PublishedKey::new(Algorithm::ES256, key)?);
        Ok(())
    }

    /// The legacy secret, which is never in the key set.
    pub(crate) fn hs256_secret(&self) -> &str {
        &self.hs256_secret
    }

    /// Signs claims. A token by the legacy secret names no key, as the real one's do not.
    pub(crate) fn sign(&self, alg: Alg, claims: &impl Serialize) -> Result<String> {
        match alg {
            Alg::Es256 => self.rotated.last().unwrap_or(&self.es256).sign(claims),
            Alg::Rs256 => self.rs256.sign(claims),
            Alg::Hs256 => {
                let key = EncodingKey::from_secret(self.hs256_secret.as_bytes());
                Ok(jsonwebtoken::encode(
                    &Header::new(Algorithm::HS256),
                    claims,
                    &key,
                )?)
            }
        }
    }
}

impl PublishedKey {
    fn new(algorithm: Algorithm, private: EncodingKey) -> Result<Self> {
        let mut public = Jwk::from_encoding_key(&private, algorithm)?;
        let kid = public.thumbprint(ThumbprintHash::SHA256)?;
        public.common.key_id = Some(kid.clone());
        public.common.public_key_use = Some(PublicKeyUse::Signature);
        public.common.key_operations = Some(vec![KeyOperations::Verify]);
        Ok(Self {
            algorithm,
            private,
            public,
            kid,
        })
    }

    fn sign(&self, claims: &impl Serialize) -> Result<String> {
        let header = Header {
            kid: Some(self.kid.clone()),
            ..Header::new(self.algorithm)
        };
        Ok(jsonwebtoken::encode(&header, claims, &self.private)?)
    }
}

impl KeyFile {
    fn generate() -> Result<Self> {
        let ec = p256::SecretKey::random(&mut OsRng)
            .to_pkcs8_der()
            .context("cannot encode the P-256 key")?;
        let rsa = rsa::RsaPrivateKey::new(&mut OsRng, RSA_BITS)
            .and_then(|key| Ok(key.to_pkcs1_der()?))
            .context("cannot make an RSA key")?;
        let mut secret = [0; SECRET_BYTES];
        OsRng.fill_bytes(&mut secret);
        Ok(Self {
            es256_pkcs8: STANDARD.encode(ec.as_bytes()),
            rs256_pkcs1: STANDARD.encode(rsa.as_bytes()),
            hs256_secret: STANDARD.encode(secret),
        })
    }
}

/// Writes a file only its owner may read, whole or not at all, and never over an existing one.
pub(super) fn write_once(path: &Path, content: &[u8]) -> Result<()> {
    let draft = path.with_extension(format!("{}.draft", std::process::id()));
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&draft)
        .with_context(|| format!("cannot write {}", draft.display()))?;
    file.write_all(content)?;
    let linked = match fs::hard_link(&draft, path) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        linked => linked.with_context(|| format!("cannot write {}", path.display())),
    };
    fs::remove_file(&draft)?;
    linked
}

#[cfg(test)]
mod tests {
    use super::*;
    use jsonwebtoken::jwk::JwkSet;
    use jsonwebtoken::{DecodingKey, Validation};
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn a_token_of_each_algorithm_verifies_with_what_is_published() {
        let dir = tempfile::tempdir().unwrap();
        let keys = Keys::load_or_create(dir.path()).unwrap();
        let published: JwkSet = serde_json::from_value(keys.jwks()).unwrap();
        let claims = json!({ "sub": "x" });
        for (alg, algorithm) in [
            (Alg::Es256, Algorithm::ES256),
            (Alg::Rs256, Algorithm::RS256),
            (Alg::Hs256, Algorithm::HS256),
        ] {
            let token = keys.sign(alg, &claims).unwrap();
            let header = jsonwebtoken::decode_header(&token).unwrap();
            assert_eq!(header.alg, algorithm);
            assert_eq!(header.typ.as_deref(), Some("JWT"));
            let key = match header.kid {
                Some(kid) => DecodingKey::from_jwk(published.find(&kid).unwrap()).unwrap(),
                None => DecodingKey::from_secret(keys.hs256_secret().as_bytes()),
            };
            let mut rules = Validation::new(algorithm);
            rules.required_spec_claims.clear();
            let decoded = jsonwebtoken::decode::<Value>(&token, &key, &rules).unwrap();
            assert_eq!(decoded.claims, claims);
        }
    }

    #[test]
    fn keys_are_made_once_and_only_their_owner_reads_them() {
        let dir = tempfile::tempdir().unwrap();
        let first = Keys::load_or_create(dir.path()).unwrap();
        let second = Keys::load_or_create(dir.path()).unwrap();
        assert_eq!(first.jwks(), second.jwks());
        assert_eq!(first.hs256_secret(), second.hs256_secret());
        let mode = fs::metadata(dir.path().join(FILE)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "no draft is left");
    }

    #[test]
    fn the_key_set_has_no_private_part() {
        let dir = tempfile::tempdir().unwrap();
        let keys = Keys::load_or_create(dir.path()).unwrap();
        for key in keys.jwks()["keys"].as_array().unwrap() {
            for private in ["d", "p", "q", "dp", "dq", "qi", "k"] {
                assert!(key.get(private).is_none(), "{private}");
            }
            assert_eq!(key["use"], "sig");
            assert_eq!(key["key_ops"], json!(["verify"]));
        }
    }
}
