//! An address as browsers name it: `scheme://host[:port]`.

use crate::http::host::HostName;

/// `scheme://host[:port]`, without a path, in the form browsers send as `Origin`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    text: String,
    host_start: usize,
}

impl Origin {
    /// Reads an origin; a trailing slash and the scheme's own port are forgiven.
    ///
    /// `http` is accepted for this machine only: session cookies are `Secure`, and browsers keep that
    /// promise on plain HTTP for loopback names alone.
    pub(crate) fn parse(text: &str) -> Result<Self, &'static str> {
        let text = text.strip_suffix('/').unwrap_or(text).to_ascii_lowercase();
        let (scheme, host) = text.split_once("://").ok_or("is not a URL")?;
        // Browsers leave it out of `Origin` and `Host`.
        let own_port = if scheme == "https" { ":443" } else { ":80" };
        let host = host.strip_suffix(own_port).unwrap_or(host);
        let bare_host = host.rsplit_once(':').map_or(host, |(name, _port)| name);
        match scheme {
            "https" => {}
            "http" if matches!(bare_host, "localhost" | "127.0.0.1") || bare_host.ends_with(".localhost") => {
            }
            "http" => return Err("must start with https:// (http:// is for localhost only)"),
            _ => return Err("must start with https://"),
        }
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b':');
        if bare_host.is_empty() || !host.bytes().all(allowed) {
            return Err("must be a host without path, query or user");
        }
        let host_start = scheme.len() + "://".len();
        Ok(Self {
            text: format!("{scheme}://{host}"),
            host_start,
        })
    }

    /// The whole origin, as in an `Origin` header.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Host and port, as in a `Host` header.
    pub fn host(&self) -> &str {
        self.text.get(self.host_start..).unwrap_or_default()
    }

    /// The host without its port.
    pub fn name(&self) -> &str {
        let host = self.host();
        host.split_once(':').map_or(host, |(name, _port)| name)
    }

    /// The port, where it is not the scheme's own.
    pub fn port(&self) -> Option<&str> {
        self.host().split_once(':').map(|(_name, port)| port)
    }

    /// The origin of another name that is served at the same scheme and port.
    pub fn of(&self, host: &HostName) -> String {
        let scheme = self.text.get(..self.host_start).unwrap_or_default();
        match self.port() {
            Some(port) => format!("{scheme}{host}:{port}"),
            None => format!("{scheme}{host}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_parses_only_in_the_form_browsers_send() {
        for (text, origin, host, name, port) in [
            (
                "https://Bots.example.com/",
                "https://bots.example.com",
                "bots.example.com",
                "bots.example.com",
                None,
            ),
            (
                "https://bots.example.com:443",
                "https://bots.example.com",
                "bots.example.com",
                "bots.example.com",
                None,
            ),
            (
                "https://bots.example.com:8443",
                "https://bots.example.com:8443",
                "bots.example.com:8443",
                "bots.example.com",
                Some("8443"),
            ),
            (
                "http://localhost:80",
                "http://localhost",
                "localhost",
                "localhost",
                None,
            ),
        ] {
            let read = Origin::parse(text).unwrap();
            assert_eq!(
                (read.as_str(), read.host(), read.name(), read.port()),
                (origin, host, name, port)
            );
        }
    }
}
