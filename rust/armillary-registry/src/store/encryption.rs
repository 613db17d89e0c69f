//! Whether a session with a server is encrypted and whose certificate is trusted: `sslmode` and `sslrootcert`, which
//! mean what they mean to `libpq`.

use super::client_certificate::ClientCertificate;
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
use tokio_postgres::{
    config::{Host, SslMode},
    error::SqlState,
};
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
    /// Where the certificate of the client is, if it has one.
    client: Option<PathBuf>,
    connector: MakeRustlsConnect,
}

impl Encryption {
    /// From the words of an address or else of the environment; the certificate and key of the client last, if it may
    /// have to show one.
    pub(super) fn new(
        mode: Option<&str>,
        roots: Option<&str>,
        client: Option<(Option<&str>, Option<&str>)>,
    ) -> Result<Self, RegistryError> {
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
        let client = match client {
            Some((certificate, key)) if mode != Mode::Disable => ClientCertificate::find(certificate, key)?,
            _ => None,
        };
        let shown = client.as_ref().map(|client| client.path().to_owned());
        let connector = connector(mode, roots.as_deref(), client)?;
        Ok(Self { mode, roots, client: shown, connector })
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

    /// What an error means that the encryption has to do with, when connecting to some hosts.
    pub(super) fn explained(&self, error: &tokio_postgres::Error, hosts: &[Host]) -> Option<String> {
        let mode = self.mode.word();
        let names: Vec<String> = hosts
            .iter()
            .map(|host| match host {
                Host::Tcp(name) => format!("`{name}`"),
                Host::Unix(path) => format!("`{}`", path.display()),
            })
            .collect();
        let server = format!("the server {}", names.join(" or "));
        match rustls_error(error) {
            Some(Error::InvalidCertificate(found)) => Some(self.untrusted(found, &server)),
            Some(Error::AlertReceived(alert)) => Some(match &self.client {
                Some(path) => format!(
                    "{server} does not take the certificate `{}` of this client ({alert:?}); \
                     `sslcert` and `sslkey` name another and its key",
                    path.display()
                ),
                None => format!(
                    "{server} ended the handshake ({alert:?}); `sslcert` and `sslkey` name a certificate of this client"
                ),
            }),
            _ if wants_certificate(error) => Some(format!(
                "{server} wants a certificate of this client{}; `sslcert` names its file and `sslkey` that of its key",
                if self.mode <= Mode::Allow {
                    ", which only an encrypted session shows: say `sslmode=require`"
                } else {
                    ""
                }
            )),
            _ if is_of_encryption(error) && text(error).contains("does not support TLS") => Some(format!(
                "the server does not encrypt, and `sslmode={mode}` demands it; `ssl = on` in its configuration makes it, \
                 `sslmode=prefer` does without"
            )),
            _ => None,
        }
    }

    /// What is wrong with the certificate of a server, and what to do.
    fn untrusted(&self, found: &CertificateError, server: &str) -> String {
        let mode = self.mode.word();
        let roots = self.roots.as_ref().map_or_else(|| "sslrootcert".to_owned(), |path| path.display().to_string());
        let asked = format!("`sslmode={mode}` trusts only what is in `{roots}`");
        let days = |from: UnixTime, to: UnixTime| to.as_secs().saturating_sub(from.as_secs()) / 86_400;
        match found {
            CertificateError::UnknownIssuer => format!(
                "the certificate of {server} is signed by none of those in `{roots}`, and {asked}; \
                 `sslrootcert=...` names the file of those to trust"
            ),
            CertificateError::Other(other) if other.to_string() == "CaUsedAsEndEntity" => format!(
                "{server} signed its certificate itself, and {asked}; if it is the right server, \
                 `sslrootcert=...` names a file with this very certificate"
            ),
            CertificateError::Other(other) if other.to_string() == "UnsupportedCertVersion" => format!(
                "the certificate of {server} is of an old version, which cannot be verified; with `subjectAltName` among \
                 its extensions it is of version 3, and `sslmode=require` without `sslrootcert` verifies nothing"
            ),
            CertificateError::NotValidForName => format!(
                "the certificate of {server} is not for this host name, as `sslmode={mode}` demands; \
                 connect to a name it is for, or say `sslmode=verify-ca`, which takes any name"
            ),
            CertificateError::NotValidForNameContext { presented, .. } => format!(
                "the certificate of {server} is not for this host name, as `sslmode={mode}` demands, but for {}; \
                 connect to a name it is for, or say `sslmode=verify-ca`, which takes any name",
                if presented.is_empty() { "none".to_owned() } else { presented.join(", ") }
            ),
            CertificateError::Expired => format!("the certificate of {server} has expired; {RENEWED}"),
            CertificateError::ExpiredContext { time, not_after } => {
                format!("the certificate of {server} expired {} days ago; {RENEWED}", days(*not_after, *time))
            }
            CertificateError::NotValidYet => format!("the certificate of {server} is not valid yet; {CLOCK}"),
            CertificateError::NotValidYetContext { time, not_before } => format!(
                "the certificate of {server} is not valid for another {} days; {CLOCK}",
                days(*time, *not_before)
            ),
            other => format!("the certificate of {server} is not trusted: {other}; {asked}"),
        }
    }
}

/// What to do about a certificate that has expired.
const RENEWED: &str =
    "whoever runs the server can renew it, and `sslmode=require` without `sslrootcert` verifies nothing";
/// What to do about a certificate that is not valid yet.
const CLOCK: &str = "see whether the clock of this machine is right";

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

/// What went wrong with the encryption itself.
fn rustls_error(error: &tokio_postgres::Error) -> Option<&Error> {
    std::error::Error::source(error)?.downcast_ref::<std::io::Error>()?.get_ref()?.downcast_ref::<Error>()
}

/// Whether a server takes only those who show a certificate.
fn wants_certificate(error: &tokio_postgres::Error) -> bool {
    error.as_db_error().is_some_and(|said| {
        *said.code() == SqlState::INVALID_AUTHORIZATION_SPECIFICATION
            && said.message().contains("valid client certificate")
    })
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

fn connector(
    mode: Mode,
    roots: Option<&Path>,
    client: Option<ClientCertificate>,
) -> Result<MakeRustlsConnect, RegistryError> {
    let provider = Arc::new(ring::default_provider());
    let roots = roots.map(read_roots).transpose()?;
    let verifier = Verifier::new(mode, roots.unwrap_or_default(), provider.clone())?;
    let config = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(|error| bad(error.to_string()))?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier));
    Ok(MakeRustlsConnect::new(match client {
        Some(client) => client.used(config, &provider)?,
        None => config.with_no_client_auth(),
    }))
}

/// Whether a certificate is not valid now, but was or will be.
fn is_of_time(error: &Error) -> bool {
    matches!(
        error,
        Error::InvalidCertificate(
            CertificateError::Expired
                | CertificateError::ExpiredContext { .. }
                | CertificateError::NotValidYet
                | CertificateError::NotValidYetContext { .. }
        )
    )
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

impl Verifier {
    /// Where any certificate will do, so will one that is not understood here, as those of version 1: who made it for the
    /// occasion could have signed with it, too.
    fn signed(&self, found: Result<HandshakeSignatureValid, Error>) -> Result<HandshakeSignatureValid, Error> {
        match found {
            Err(Error::InvalidCertificate(CertificateError::Other(_))) if self.chain.is_none() => {
                Ok(HandshakeSignatureValid::assertion())
            }
            found => found,
        }
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
            Err(error) if self.trusted.contains(certificate) && !is_of_time(&error) => {
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
        let algorithms = &self.provider.signature_verification_algorithms;
        self.signed(verify_tls12_signature(message, certificate, signed, algorithms))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        self.signed(verify_tls13_signature(message, certificate, signed, algorithms))
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
