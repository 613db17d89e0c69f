//! By which certificate a server knows who connects: `sslcert` and `sslkey`, which mean what they mean to `libpq`.

use crate::error::RegistryError;
use rustls::{
    ClientConfig, ConfigBuilder, Error, InconsistentKeys,
    client::WantsClientCert,
    crypto::CryptoProvider,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
    sign::{CertifiedKey, SingleCertAndKey},
};
use std::{
    env, fs,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    sync::Arc,
};

/// A configuration that lacks only who connects.
type Unauthenticated = ConfigBuilder<ClientConfig, WantsClientCert>;

/// A certificate of a client, those that lead from it to an authority, and the key it is for.
pub(super) struct ClientCertificate {
    path: PathBuf,
    key_path: PathBuf,
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
}

impl ClientCertificate {
    /// From the words of an address or else of the environment, or else from where `libpq` looks; none if there is none.
    pub(super) fn find(certificate: Option<&str>, key: Option<&str>) -> Result<Option<Self>, RegistryError> {
        let given = |word: Option<&str>, name: &str| {
            let said = word.map(str::to_owned).or_else(|| env::var(name).ok());
            said.filter(|path| !path.is_empty()).map(PathBuf::from)
        };
        let usual = |name: &str| env::var_os("HOME").map(|home| Path::new(&home).join(".postgresql").join(name));
        let path = match given(certificate, "PGSSLCERT") {
            Some(path) => path,
            None => match usual("postgresql.crt").filter(|path| path.exists()) {
                Some(path) => path,
                None => return Ok(None),
            },
        };
        let Some(key_path) = given(key, "PGSSLKEY").or_else(|| usual("postgresql.key")) else {
            return Err(bad(format!("`sslkey` must name the file of the key of the certificate `{}`", path.display())));
        };
        let (chain, key) = (read_chain(&path)?, read_key(&key_path, &path)?);
        Ok(Some(Self { path, key_path, chain, key }))
    }

    /// The file of the certificate.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Lets sessions show it to servers that ask.
    ///
    /// What is in the certificate is the server's business: certificates of version 1, as the simplest commands make
    /// them, are not understood here, and servers take them.
    pub(super) fn used(
        self,
        config: Unauthenticated,
        provider: &CryptoProvider,
    ) -> Result<ClientConfig, RegistryError> {
        let (path, key_path) = (self.path.display(), self.key_path.display());
        let of_no_use = |error: Error| bad(format!("the key in `{key_path}` is of no use: {error}"));
        let key = provider.key_provider.load_private_key(self.key).map_err(of_no_use)?;
        let certified = CertifiedKey::new(self.chain, key);
        if let Err(Error::InconsistentKeys(InconsistentKeys::KeyMismatch)) = certified.keys_match() {
            return Err(bad(format!(
                "the key in `{key_path}` is not that of the certificate in `{path}`; `sslkey` names the file of the one \
                 that is"
            )));
        }
        Ok(config.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(certified))))
    }
}

fn bad(reason: String) -> RegistryError {
    RegistryError::BadArgument { reason }
}

fn read_chain(path: &Path) -> Result<Vec<CertificateDer<'static>>, RegistryError> {
    let text = fs::read(path).map_err(|error| {
        bad(format!("the certificate `{}`, which `sslcert` names, cannot be read: {error}", path.display()))
    })?;
    let unreadable = |reason: &str| {
        bad(format!("`{}`, which `sslcert` names, is not a file of certificates: {reason}", path.display()))
    };
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    let chain = chain.map_err(|error| unreadable(&error.to_string()))?;
    if chain.is_empty() { Err(unreadable("it has none in PEM form")) } else { Ok(chain) }
}

fn read_key(path: &Path, certificate: &Path) -> Result<PrivateKeyDer<'static>, RegistryError> {
    let shown = path.display();
    let unreadable = |reason: &std::io::Error| {
        bad(format!(
            "the key `{shown}` of the certificate `{}` cannot be read: {reason}; `sslkey` names another file",
            certificate.display()
        ))
    };
    let known = fs::metadata(path).map_err(|error| unreadable(&error))?;
    // A key of root may be for a group that root chose.
    let others = if known.uid() == 0 { 0o027 } else { 0o077 };
    if known.is_file() && known.mode() & others != 0 {
        return Err(bad(format!(
            "others may read or change the key `{shown}` (its mode is {:o}); `chmod 600 {shown}` makes it private",
            known.mode() & 0o777
        )));
    }
    let text = fs::read(path).map_err(|error| unreadable(&error))?;
    if text.windows(9).any(|part| part == b"ENCRYPTED") {
        return Err(bad(format!(
            "the key `{shown}` is encrypted, and nobody is asked for its password; \
             `openssl pkey -in {shown} -out plain.key` writes it without one, for `sslkey` to name"
        )));
    }
    PrivateKeyDer::from_pem_slice(&text)
        .map_err(|_| bad(format!("`{shown}`, which is to be a key (`sslkey`), has no private key in PEM form")))
}
