//! Fetches a key set over http or https. Blocks.
//!
//! A redirection is followed to the same scheme, and from http to https: what began in secret does not go on in the open.

use std::{sync::Arc, time::Duration};

use http::{HeaderMap, StatusCode, Uri, header};
use ureq::{
    Agent,
    tls::{Certificate, RootCerts, TlsConfig, TlsProvider},
};

use super::plan;
use crate::keys::{JWKS_BYTES_MAX, KeySet, KeySetError};

/// Issuers move their keys now and then; more hops than this are a loop.
const REDIRECTS_MAX: u32 = 3;

/// The URL cannot be fetched from.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{url}` is no http or https URL")]
pub struct UrlError {
    /// The text, without the name and password that it may have.
    pub url: String,
}

/// Why a fetch brought no keys.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FetchError {
    /// There is no answer, or one that is too long.
    #[error("no answer that can be read")]
    Http(#[source] Box<ureq::Error>),
    /// The answer is not 200.
    #[error("the answer is {status}")]
    Status {
        /// What it is.
        status: StatusCode,
    },
    /// The answer is not UTF-8, or no key set.
    #[error("the answer is no key set")]
    Set(#[from] KeySetError),
    /// There is no key in it. Taking that at its word would refuse everybody.
    #[error("the key set is empty")]
    Empty,
    /// Secrets that are published are none.
    #[error("the key set holds secrets, which whoever fetches them can sign with")]
    Published,
    /// The fetch did not come to its end, which is a defect.
    #[error("the fetch panicked")]
    Panicked,
}

/// Keys that were brought.
pub(super) struct Fetched {
    pub(super) set: KeySet,
    /// For how long they may be kept.
    pub(super) lifetime: Duration,
}

/// Where keys come from.
#[derive(Clone, Debug)]
pub(super) struct Source {
    url: Uri,
    agent: Agent,
}

impl Source {
    pub(super) fn new(url: &str, timeout: Duration) -> Result<Self, UrlError> {
        let refused = || UrlError { url: without_user(url) };
        let parsed: Uri = url.parse().map_err(|_| refused())?;
        let secure = match parsed.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            _ => return Err(refused()),
        };
        if parsed.host().is_none_or(str::is_empty) {
            return Err(refused());
        }
        let config = Agent::config_builder()
            .timeout_global(Some(timeout))
            // A proxy from the environment would look for 127.0.0.1 on its own machine.
            .proxy(None)
            .max_redirects(REDIRECTS_MAX)
            .https_only(secure)
            .http_status_as_error(false)
            // Fetches are minutes apart: a kept connection would be closed by then.
            .max_idle_connections(0)
            // Where it begins with http, too: it may be redirected.
            .tls_config(tls());
        Ok(Self { url: parsed, agent: config.build().into() })
    }

    /// The URL for a log.
    pub(super) fn shown(&self) -> String {
        without_user(&self.url.to_string())
    }

    pub(super) fn fetch(&self) -> Result<Fetched, FetchError> {
        let http = |error| FetchError::Http(Box::new(error));
        let mut response = self.agent.get(&self.url).call().map_err(http)?;
        if response.status() != StatusCode::OK {
            return Err(FetchError::Status { status: response.status() });
        }
        let lifetime = plan::lifetime(max_age(response.headers()));
        // One byte more, so that a set as long as it may be is no error of the connection.
        let limit = JWKS_BYTES_MAX as u64 + 1;
        let body = response.body_mut().with_config().limit(limit).read_to_vec().map_err(http)?;
        let text = str::from_utf8(&body).map_err(|_| KeySetError::Malformed)?;
        let set = KeySet::from_jwks(text)?;
        if set.is_empty() {
            return Err(FetchError::Empty);
        }
        if set.is_symmetric() {
            return Err(FetchError::Published);
        }
        Ok(Fetched { set, lifetime })
    }
}

fn tls() -> TlsConfig {
    // Certificates that cannot be read are as good as absent: the handshake then says that it trusts nobody.
    let roots = rustls_native_certs::load_native_certs().certs;
    let roots = roots.iter().map(|certificate| Certificate::from_der(certificate).to_owned());
    TlsConfig::builder()
        .provider(TlsProvider::Rustls)
        .root_certs(RootCerts::from(roots))
        .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
        .build()
}

/// A text that may be a URL, without the name and password before its host (RFC 3986, section 3.2.1).
fn without_user(url: &str) -> String {
    let start = url.find("://").map_or(0, |at| at + "://".len());
    let authority = url[start..].split(['/', '?', '#']).next().unwrap_or_default();
    let user = authority.rfind('@').map_or(0, |at| at + 1);
    format!("{}{}", &url[..start], &url[start + user..])
}

/// RFC 9111, section 5.2.2: what must not be kept may be kept for no time.
fn max_age(headers: &HeaderMap) -> Option<Duration> {
    let values = headers.get_all(header::CACHE_CONTROL).iter().filter_map(|value| value.to_str().ok());
    let directives = values.flat_map(|value| value.split(',')).map(str::trim);
    let age = |directive: &str| {
        let (name, value) = directive.split_once('=').unwrap_or((directive, ""));
        match name.to_ascii_lowercase().as_str() {
            "no-store" | "no-cache" => Some(0),
            "max-age" => value.trim_matches('"').parse().ok(),
            _ => None,
        }
    };
    directives.filter_map(age).min().map(Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_urls_of_the_web_are_fetched_from() {
        for (url, accepted) in [
            ("http://127.0.0.1:3000/.well-known/jwks.json", true),
            ("https://issuer.example/keys?v=1", true),
            ("ftp://issuer.example/keys", false),
            ("file:///etc/passwd", false),
            ("/keys", false),
            ("issuer.example", false),
            ("", false),
        ] {
            assert_eq!(Source::new(url, Duration::from_secs(1)).is_ok(), accepted, "{url}");
        }
    }

    #[test]
    fn a_name_and_a_password_are_not_shown() {
        for (url, shown) in [
            ("https://ann:secret@issuer.example/keys", "https://issuer.example/keys"),
            ("https://a@b:secret@issuer.example?at=@", "https://issuer.example?at=@"),
            ("https://issuer.example/@keys", "https://issuer.example/@keys"),
            ("ftp://ann:secret@issuer.example", "ftp://issuer.example"),
            ("ann:secret@issuer.example", "issuer.example"),
            ("", ""),
        ] {
            assert_eq!(without_user(url), shown);
        }
        let refused = Source::new("ftp://ann:secret@issuer.example", Duration::from_secs(1)).unwrap_err();
        assert_eq!(refused.to_string(), "`ftp://issuer.example` is no http or https URL");
        let source = Source::new("http://ann:secret@issuer.example/", Duration::from_secs(1)).unwrap();
        assert_eq!(source.shown(), "http://issuer.example/");
    }

    #[test]
    fn the_age_is_the_least_that_the_server_allows() {
        for (fields, expected) in [
            (&[][..], None),
            (&["public"], None),
            (&["public, max-age=600"], Some(600)),
            (&["MAX-AGE=\"7\""], Some(7)),
            (&["max-age=600, no-cache"], Some(0)),
            (&["max-age=600", "max-age=60"], Some(60)),
            (&["max-age=-1", "max-age=x", "s-maxage=5"], None),
        ] {
            let mut headers = HeaderMap::new();
            for field in fields {
                headers.append(header::CACHE_CONTROL, field.parse().unwrap());
            }
            assert_eq!(max_age(&headers), expected.map(Duration::from_secs), "{fields:?}");
        }
    }
}
