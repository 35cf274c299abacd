//! Hosts of the operator's own network that alerts may be sent to.

/// `ALERT_INTERNAL_HOSTS`: hosts that are allowed although nothing public is there, also by `http`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct InternalHosts(Vec<String>);

impl InternalHosts {
    /// Reads `host` and `host:port`, separated by commas.
    ///
    /// # Errors
    /// An entry has more than that.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let entries = text.split(',').map(str::trim).filter(|entry| !entry.is_empty());
        let entries: Vec<String> = entries.map(str::to_ascii_lowercase).collect();
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b".-:[]".contains(&byte);
        match entries.iter().all(|entry| entry.bytes().all(plain)) {
            true => Ok(Self(entries)),
            false => {
                Err("is not a list of hosts such as alerts.internal or 10.0.0.5:9093, separated by commas")
            }
        }
    }

    /// Whether this host is one, at any port or at this one.
    pub(super) fn has(&self, host: &str, port: Option<&str>) -> bool {
        self.0.iter().any(|entry| match entry.strip_prefix(host) {
            Some("") => true,
            Some(rest) => rest.strip_prefix(':').is_some_and(|own| Some(own) == port),
            None => false,
        })
    }
}
