//! Where the database of a repository is.

use super::encryption::Encryption;
use crate::error::RegistryError;
use std::{fmt, path::PathBuf, str::FromStr, time::Duration};
use tokio_postgres::config::Host;

/// Where the database of a repository is.
#[derive(Clone, Debug)]
pub enum Place {
    /// A file of `SQLite`.
    File(PathBuf),
    /// A schema in a database of a `PostgreSQL` server.
    Server(Box<PostgresPlace>),
}

impl Place {
    /// As messages show it: without a password.
    #[must_use]
    pub fn shown(&self) -> String {
        match self {
            Self::File(path) => path.display().to_string(),
            Self::Server(place) => place.shown().to_owned(),
        }
    }
}

/// A schema in a database of a `PostgreSQL` server. Neither its `Debug` form nor its messages have the password.
#[derive(Clone)]
pub struct PostgresPlace {
    config: tokio_postgres::Config,
    encryption: Encryption,
    namespace: Option<String>,
    shown: String,
}

impl fmt::Debug for PostgresPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("PostgresPlace").field(&self.shown).finish()
    }
}

impl PostgresPlace {
    /// From a URL `postgresql://user@host:port/database?key=value`; the password comes beside it. Whether sessions are
    /// encrypted is said by `sslmode` and `sslrootcert` in the URL, or else by `PGSSLMODE` and `PGSSLROOTCERT`; with which
    /// certificate, by `sslcert` and `sslkey`, or else by `PGSSLCERT` and `PGSSLKEY`.
    ///
    /// ```
    /// # use armillary_registry::PostgresPlace;
    /// let place = PostgresPlace::new("postgresql://me@db.example.org/butler", Some("secret"), Some("main"))?;
    /// assert_eq!(place.shown(), "postgresql://me@db.example.org/butler (namespace main)");
    /// # Ok::<(), armillary_registry::RegistryError>(())
    /// ```
    pub fn new(url: &str, password: Option<&str>, namespace: Option<&str>) -> Result<Self, RegistryError> {
        let (without, [mode, roots, certificate, key]) =
            take_options(url, ["sslmode", "sslrootcert", "sslcert", "sslkey"]);
        let mut config = tokio_postgres::Config::from_str(&without).map_err(|error| RegistryError::BadArgument {
            reason: format!("`{url}` is not the address of a PostgreSQL database: {error}"),
        })?;
        // Over a socket of this machine nobody shows one, and nothing can be wrong with it.
        let local = config.get_hosts().iter().all(|host| matches!(host, Host::Unix(_)));
        let client = (!local).then_some((certificate.as_deref(), key.as_deref()));
        let encryption = Encryption::new(mode.as_deref(), roots.as_deref(), client)?;
        if let Some(password) = password {
            config.password(password);
        }
        if config.get_connect_timeout().is_none() {
            config.connect_timeout(Duration::from_secs(30));
        }
        if config.get_application_name().is_none() {
            config.application_name("armillary");
        }
        let shown = match namespace {
            Some(namespace) => format!("{url} (namespace {namespace})"),
            None => url.to_owned(),
        };
        Ok(Self { config, encryption, namespace: namespace.map(str::to_owned), shown })
    }

    /// As messages show it.
    #[must_use]
    pub fn shown(&self) -> &str {
        &self.shown
    }

    pub(super) const fn config(&self) -> &tokio_postgres::Config {
        &self.config
    }

    pub(super) const fn encryption(&self) -> &Encryption {
        &self.encryption
    }

    pub(super) fn namespace(&self) -> Option<&str> {
        self.namespace.as_deref()
    }

    /// A message of the server or the network, which has no business with the password but is not ours.
    pub(super) fn without_password(&self, message: &str) -> String {
        match self.config.get_password().and_then(|password| std::str::from_utf8(password).ok()) {
            Some(password) if !password.is_empty() => message.replace(password, "***"),
            _ => message.to_owned(),
        }
    }
}

/// Takes options out of the query of a URL; the last value of each counts.
fn take_options<const N: usize>(url: &str, names: [&str; N]) -> (String, [Option<String>; N]) {
    let mut found = [const { None }; N];
    let Some((address, query)) = url.split_once('?') else { return (url.to_owned(), found) };
    let mut kept: Vec<&str> = Vec::new();
    for option in query.split('&') {
        let (name, value) = option.split_once('=').unwrap_or((option, ""));
        match names.iter().position(|known| *known == name) {
            Some(position) => found[position] = Some(percent_decoded(value)),
            None => kept.push(option),
        }
    }
    let mark = if kept.is_empty() { "" } else { "?" };
    (format!("{address}{mark}{}", kept.join("&")), found)
}

/// Text with `%2F` and the like as what they stand for.
fn percent_decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        let code = after.get(..2).filter(|digits| digits.iter().all(u8::is_ascii_hexdigit));
        match code.and_then(|digits| str::from_utf8(digits).ok()).and_then(|digits| u8::from_str_radix(digits, 16).ok())
        {
            Some(byte) if *first == b'%' => {
                bytes.push(byte);
                rest = &after[2..];
            }
            _ => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_taken_out_of_a_url() {
        let names = ["sslmode", "sslrootcert"];
        let (rest, found) = take_options("postgresql://h/d?sslmode=require&host=%2Ftmp&sslrootcert=%2Fa%20b", names);
        assert_eq!(rest, "postgresql://h/d?host=%2Ftmp");
        assert_eq!(found, [Some("require".to_owned()), Some("/a b".to_owned())]);
        let (rest, found) = take_options("postgresql://h/d?sslmode=allow", names);
        assert_eq!((rest.as_str(), found), ("postgresql://h/d", [Some("allow".to_owned()), None]));
        assert_eq!(take_options("postgresql://h/d", names), ("postgresql://h/d".to_owned(), [None, None]));
    }
}
