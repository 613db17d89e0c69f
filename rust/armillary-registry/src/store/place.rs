//! Where the database of a repository is.

use crate::error::RegistryError;
use std::{fmt, path::PathBuf, str::FromStr, time::Duration};

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
    namespace: Option<String>,
    shown: String,
}

impl fmt::Debug for PostgresPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("PostgresPlace").field(&self.shown).finish()
    }
}

impl PostgresPlace {
    /// From a URL `postgresql://user@host:port/database?key=value`; the password comes beside it.
    ///
    /// ```
    /// # use armillary_registry::PostgresPlace;
    /// let place = PostgresPlace::new("postgresql://me@db.example.org/butler", Some("secret"), Some("main"))?;
    /// assert_eq!(place.shown(), "postgresql://me@db.example.org/butler (namespace main)");
    /// # Ok::<(), armillary_registry::RegistryError>(())
    /// ```
    pub fn new(url: &str, password: Option<&str>, namespace: Option<&str>) -> Result<Self, RegistryError> {
        let mut config = tokio_postgres::Config::from_str(url).map_err(|error| RegistryError::BadArgument {
            reason: format!("`{url}` is not the address of a PostgreSQL database: {error}"),
        })?;
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
        Ok(Self { config, namespace: namespace.map(str::to_owned), shown })
    }

    /// As messages show it.
    #[must_use]
    pub fn shown(&self) -> &str {
        &self.shown
    }

    pub(super) const fn config(&self) -> &tokio_postgres::Config {
        &self.config
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
