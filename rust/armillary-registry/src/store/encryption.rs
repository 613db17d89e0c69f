//! Whether a session with a server is encrypted and whose certificate is trusted: `sslmode` and `sslrootcert`, which
//! mean what they mean to `libpq`.

use crate::error::RegistryError;
use armillary_dimensions::nearest;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
    client::{
        WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
        verify_server_name,
    },
    crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, ServerName, UnixTime, pem::PemObject as _},
    server::ParsedCertificate,
};
use std::{
    env,
    path::{Path, PathBuf},
    sync::Arc,
};
use tokio_postgres::{config::SslMode, error::SqlState};
use tokio_postgres_rustls::MakeRustlsConnect;

/// The words of `sslmode`.
const MODES: [(&str, Mode); 6] = [
    ("disable", Mode::Disable),
    ("allow", Mode::Allow),
    ("prefer", Mode::Prefer),
    ("require", Mode::Require),
    ("verify-ca", Mode::VerifyCa),
    ("verify-full", Mode::VerifyFull),
];

/// How much encryption is asked for, from none to all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Mode {
    Disable,
    Allow,
    Prefer,
    Require,
    VerifyCa,
    VerifyFull,
}

impl Mode {
    fn word(self) -> &'static str {
        MODES.iter().find(|(_, mode)| *mode == self).map_or("prefer", |(word, _)| word)
    }

    fn parse(word: &str, whence: &str) -> Result<Self, RegistryError> {
        if let Some((_, mode)) = MODES.iter().find(|(known, _)| *known == word) {
            return Ok(*mode);
        }
        let meant = nearest(word, MODES.iter().map(|(known, _)| *known));
        let meant = meant.map(|meant| format!(" (did you mean `{meant}`?)")).unwrap_or_default();
        let words: Vec<String> = MODES.iter().map(|(known, _)| format!("`{known}`")).collect();
        Err(bad(format!("`{word}` is not a mode of encryption{meant}: `{whence}` is one of {}", words.join(", "))))
    }
}

/// How sessions with a server are encrypted.
#[derive(Clone)]
pub(super) struct Encryption {
    mode: Mode,
    /// Whence the trusted certificates are, if there are any.
    roots: Option<PathBuf>,
    connector: MakeRustlsConnect,
}

impl Encryption {
    /// From the words of an address or else of the environment.
    pub(super) fn new(mode: Option<&str>, roots: Option<&str>) -> Result<Self, RegistryError> {
        let said = |name: &str| env::var(name).ok().filter(|value| !value.is_empty());
        let (mode_said, roots_said) = (said("PGSSLMODE"), said("PGSSLROOTCERT"));
        let roots = roots.or(roots_said.as_deref()).filter(|roots| !roots.is_empty());
        let of_system = roots == Some("system");
        let mode = match (mode, mode_said) {
            (Some(mode), _) => Mode::parse(mode, "sslmode")?,
            (None, Some(mode)) => Mode::parse(&mode, "PGSSLMODE")?,
            (None, None) if of_system => Mode::VerifyFull,
            (None, None) => Mode::Prefer,
        };
        if of_system && mode != Mode::VerifyFull {
            return Err(bad(format!(
                "`sslmode={}` with `sslrootcert=system` would trust any server of the Internet; say `sslmode=verify-full`",
                mode.word()
            )));
        }
        let roots = if mode == Mode::Disable { None } else { roots_file(mode, roots)? };
        let connector = connector(mode, roots.as_deref())?;
        Ok(Self { mode, roots, connector })
    }

    pub(super) fn connector(&self) -> MakeRustlsConnect {
        self.connector.clone()
    }

    /// What is tried in turn.
    pub(super) fn attempts(&self) -> &'static [SslMode] {
        match self.mode {
            Mode::Disable => &[SslMode::Disable],
            Mode::Allow => &[SslMode::Disable, SslMode::Require],
            Mode::Prefer => &[SslMode::Prefer, SslMode::Disable],
            Mode::Require | Mode::VerifyCa | Mode::VerifyFull => &[SslMode::Require],
        }
    }

    /// What an error means that the encryption has to do with.
    pub(super) fn explained(&self, error: &tokio_postgres::Error) -> Option<String> {
        let mode = self.mode.word();
        let roots = self.roots.as_ref().map_or_else(|| "sslrootcert".to_owned(), |path| path.display().to_string());
        Some(match certificate_error(error) {
            Some(CertificateError::UnknownIssuer) => format!(
                "the server's certificate is signed by none of those in `{roots}`; `sslrootcert` names the file of those to trust"
            ),
            Some(CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. }) => {
                "the server's certificate is not for this host name; connect to a name it is for, \
                 or say `sslmode=verify-ca`, which takes any name"
                    .to_owned()
            }
            Some(CertificateError::Expired | CertificateError::ExpiredContext { .. }) => {
                "the server's certificate has expired; whoever runs the server can renew it".to_owned()
            }
            Some(other) => format!("the server's certificate is not trusted: {other}"),
            None if is_of_encryption(error) && text(error).contains("does not support TLS") => format!(
                "the server does not encrypt, and `sslmode={mode}` demands it; `ssl = on` in its configuration makes it, \
                 `sslmode=prefer` does without"
            ),
            None => return None,
        })
    }
}

/// Whether the other way, with encryption or without, may succeed.
pub(super) fn may_go_the_other_way(error: &tokio_postgres::Error) -> bool {
    let refused = |said: &tokio_postgres::error::DbError| *said.code() == SqlState::INVALID_AUTHORIZATION_SPECIFICATION;
    is_of_encryption(error) || error.as_db_error().is_some_and(refused)
}

fn is_of_encryption(error: &tokio_postgres::Error) -> bool {
    error.to_string().starts_with("error performing TLS handshake")
}

fn text(error: &tokio_postgres::Error) -> String {
    std::error::Error::source(error).map(ToString::to_string).unwrap_or_default()
}

/// What is wrong with the server's certificate.
fn certificate_error(error: &tokio_postgres::Error) -> Option<&CertificateError> {
    let cause = std::error::Error::source(error)?.downcast_ref::<std::io::Error>()?.get_ref()?;
    match cause.downcast_ref::<Error>()? {
        Error::InvalidCertificate(found) => Some(found),
        _ => None,
    }
}

fn bad(reason: String) -> RegistryError {
    RegistryError::BadArgument { reason }
}

/// The file of trusted certificates; none if none is asked for and there is none where `libpq` looks.
fn roots_file(mode: Mode, given: Option<&str>) -> Result<Option<PathBuf>, RegistryError> {
    let usual = || Some(Path::new(&env::var_os("HOME")?).join(".postgresql/root.crt"));
    let Some(path) = given.map(PathBuf::from).or_else(usual) else { return Ok(None) };
    if given == Some("system") || path.exists() {
        return Ok(Some(path));
    }
    if mode >= Mode::VerifyCa {
        return Err(bad(format!(
            "there is no file `{}` of certificates to trust, without which `sslmode={}` cannot verify the server; \
             `sslrootcert` names another, `sslmode=require` encrypts and verifies nothing",
            path.display(),
            mode.word()
        )));
    }
    Ok(None)
}

fn read_roots(path: &Path) -> Result<Vec<CertificateDer<'static>>, RegistryError> {
    if path == Path::new("system") {
        return Ok(rustls_native_certs::load_native_certs().certs);
    }
    let unreadable = |reason: String| bad(format!("`{}` is not a file of certificates: {reason}", path.display()));
    let roots = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| unreadable(error.to_string()))?;
    if roots.is_empty() {
        return Err(unreadable("it has none in PEM form".to_owned()));
    }
    Ok(roots)
}

fn connector(mode: Mode, roots: Option<&Path>) -> Result<MakeRustlsConnect, RegistryError> {
    let provider = Arc::new(ring::default_provider());
    let roots = roots.map(read_roots).transpose()?;
    let verifier = Verifier::new(mode, roots.unwrap_or_default(), provider.clone())?;
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| bad(error.to_string()))?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    Ok(MakeRustlsConnect::new(config))
}

/// Verifies as much of the server's certificate as is asked for.
#[derive(Debug)]
struct Verifier {
    provider: Arc<CryptoProvider>,
    /// None if any certificate will do: then nobody can listen, but anybody can be the server.
    chain: Option<Arc<WebPkiServerVerifier>>,
    /// A server that signed its own certificate is trusted if that very certificate is.
    trusted: Vec<CertificateDer<'static>>,
    names: bool,
}

impl Verifier {
    fn new(
        mode: Mode,
        trusted: Vec<CertificateDer<'static>>,
        provider: Arc<CryptoProvider>,
    ) -> Result<Self, RegistryError> {
        let mut store = RootCertStore::empty();
        store.add_parsable_certificates(trusted.iter().cloned());
        let chain = if trusted.is_empty() {
            None
        } else {
            let built = WebPkiServerVerifier::builder_with_provider(Arc::new(store), provider.clone()).build();
            Some(built.map_err(|error| bad(format!("the certificates to trust are of no use: {error}")))?)
        };
        Ok(Self { provider, chain, trusted, names: mode == Mode::VerifyFull })
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let Some(chain) = &self.chain else { return Ok(ServerCertVerified::assertion()) };
        match chain.verify_server_cert(certificate, intermediates, name, ocsp_response, now) {
            Err(Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) if !self.names => {}
            Err(_) if self.trusted.contains(certificate) => {
                if self.names {
                    verify_server_name(&ParsedCertificate::try_from(certificate)?, name)?;
                }
            }
            Err(error) => return Err(error),
            Ok(_) => {}
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
