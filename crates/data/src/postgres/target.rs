//! What a database URL says, with the ways to encrypt that it asks for.

use std::{fs::File, io::BufReader, path::Path, sync::Arc};

use rustls::{
    ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::{CryptoProvider, aws_lc_rs},
};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime, pem::PemObject as _};
use tokio_postgres::{
    Config,
    config::{Host, SslMode},
};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::ConnectError;

const URL_FAULT: &str = "expected `postgres://user:password@host:port/database`, special characters of the password \
                         percent-encoded, and no options but those of PostgreSQL's own clients";

/// Where a server is and how to speak to it.
#[derive(Clone)]
pub(super) struct Target {
    /// `host:port/database`.
    pub(super) name: Arc<str>,
    pub(super) user: Arc<str>,
    pub(super) config: Config,
    pub(super) tls: MakeRustlsConnect,
}

impl Target {
    pub(super) fn parse(url: &str) -> Result<Self, ConnectError> {
        let (url, trust) = split_trust(url)?;
        // What the parser says may quote the URL, and with it the password: it is not passed on.
        let malformed = || ConnectError::Url { fault: URL_FAULT.to_owned() };
        let mut config: Config = url.parse().map_err(|_| malformed())?;
        if config.get_hosts().len() != 1 {
            return Err(ConnectError::Url { fault: "name one host: each server has its own URL".to_owned() });
        }
        let tls = match (config.get_ssl_mode(), &trust) {
            (SslMode::Disable | SslMode::Prefer, Trust::System) => unproven(),
            _ => {
                config.ssl_mode(SslMode::Require);
                proven(&trust)?
            }
        };
        let host = match config.get_hosts().first().ok_or_else(malformed)? {
            Host::Tcp(host) => host.clone(),
            Host::Unix(path) => path.display().to_string(),
        };
        let port = config.get_ports().first().copied().unwrap_or(5432);
        let user = config.get_user().ok_or_else(malformed)?.to_owned();
        let database = config.get_dbname().unwrap_or(&user);
        let name = format!("{host}:{port}/{database}").into();
        Ok(Self { name, user: user.into(), config, tls: MakeRustlsConnect::new(tls) })
    }
}

/// What libpq understands as the same server, for a server that has to connect to it. How certificates are proven is what
/// that server's own files say: those that the URL names are on this machine.
pub(super) fn conninfo(url: &str) -> Result<String, ConnectError> {
    let Target { user, config, .. } = Target::parse(url)?;
    let host = match config.get_hosts().first() {
        Some(Host::Tcp(host)) => host.clone(),
        Some(Host::Unix(path)) => path.display().to_string(),
        None => String::new(),
    };
    let mode = match config.get_ssl_mode() {
        SslMode::Disable => "disable",
        SslMode::Require => "require",
        _ => "prefer",
    };
    let password = String::from_utf8_lossy(config.get_password().unwrap_or_default()).into_owned();
    let port = config.get_ports().first().copied().unwrap_or(5432).to_string();
    let database = config.get_dbname().unwrap_or(&user);
    let pairs = [
        ("host", host.as_str()),
        ("port", &port),
        ("user", &user),
        ("password", &password),
        ("dbname", database),
        ("sslmode", mode),
        ("connect_timeout", "10"),
    ];
    let quoted = |value: &str| value.replace('\\', "\\\\").replace('\'', "\\'");
    let pairs = pairs.iter().filter(|(_, value)| !value.is_empty());
    let texts: Vec<String> = pairs.map(|(name, value)| format!("{name}='{}'", quoted(value))).collect();
    Ok(texts.join(" "))
}

/// Whose certificates are believed.
enum Trust {
    System,
    /// `verify-full` or `verify-ca` stood there.
    SystemDemanded,
    File(String),
}

/// Takes the options out of the URL that the library does not know.
fn split_trust(url: &str) -> Result<(String, Trust), ConnectError> {
    let Some((base, options)) = url.split_once('?') else { return Ok((url.to_owned(), Trust::System)) };
    let mut trust = Trust::System;
    let mut kept = Vec::new();
    for option in options.split('&') {
        match option.split_once('=') {
            Some(("sslmode", "verify-full" | "verify-ca")) => {
                if matches!(trust, Trust::System) {
                    trust = Trust::SystemDemanded;
                }
                kept.push("sslmode=require");
            }
            Some(("sslrootcert", "system")) => trust = Trust::SystemDemanded,
            Some(("sslrootcert", path)) if !path.contains('%') => trust = Trust::File(path.to_owned()),
            Some(("sslrootcert", _)) => {
                let fault = "the path of `sslrootcert` is taken as it stands, without `%`".to_owned();
                return Err(ConnectError::Url { fault });
            }
            _ => kept.push(option),
        }
    }
    let options = kept.join("&");
    Ok((if options.is_empty() { base.to_owned() } else { format!("{base}?{options}") }, trust))
}

fn proven(trust: &Trust) -> Result<ClientConfig, ConnectError> {
    let mut roots = RootCertStore::empty();
    let path = match trust {
        Trust::System | Trust::SystemDemanded => {
            let loaded = rustls_native_certs::load_native_certs();
            roots.add_parsable_certificates(loaded.certs);
            "the system's store"
        }
        Trust::File(path) => {
            let (added, _) = roots.add_parsable_certificates(certificates(Path::new(path))?);
            if added == 0 {
                let fault = "it holds no certificate".to_owned();
                return Err(ConnectError::Certificates { path: path.clone(), fault });
            }
            path
        }
    };
    if roots.is_empty() {
        return Err(ConnectError::Certificates { path: path.to_owned(), fault: "it holds none".to_owned() });
    }
    Ok(builder().with_root_certificates(roots).with_no_client_auth())
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, ConnectError> {
    let failed = |fault: String| ConnectError::Certificates { path: path.display().to_string(), fault };
    let file = File::open(path).map_err(|error| failed(error.to_string()))?;
    CertificateDer::pem_reader_iter(BufReader::new(file))
        .collect::<Result<_, _>>()
        .map_err(|error| failed(error.to_string()))
}

/// `prefer` encrypts against listeners only: whoever can forge a certificate can as well say that there is no TLS.
fn unproven() -> ClientConfig {
    let provider = aws_lc_rs::default_provider();
    builder().dangerous().with_custom_certificate_verifier(Arc::new(Unproven(provider))).with_no_client_auth()
}

fn builder() -> rustls::ConfigBuilder<ClientConfig, rustls::WantsVerifier> {
    ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("the provider has the suites of TLS 1.2 and 1.3")
}

#[derive(Debug)]
struct Unproven(CryptoProvider);

impl ServerCertVerifier for Unproven {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libpq_gets_what_the_url_says() {
        let text =
            conninfo("postgres://ada:p%27%5Cw@db:6000/shop?sslmode=verify-full&sslrootcert=system").unwrap();
        let expected = r"host='db' port='6000' user='ada' password='p\'\\w' dbname='shop' sslmode='require' connect_timeout='10'";
        assert_eq!(text, expected);
    }

    #[test]
    fn the_name_tells_where_and_never_the_password() {
        let target = Target::parse("postgres://web:se%40cret@db.example:6000/shop?sslmode=disable").unwrap();
        assert_eq!((&*target.name, &*target.user), ("db.example:6000/shop", "web"));
        assert_eq!(&*Target::parse("postgres://web@db/").unwrap().name, "db:5432/web");
    }

    #[test]
    fn a_malformed_url_is_refused_without_quoting_it() {
        for url in [
            "db.example",
            "postgres://web:secret@db:port/shop",
            "postgres://web:secret@db/shop?secret=1",
            "postgres://web:secret@db,db2/shop",
            "postgres://web:secret@db/shop?sslmode=always",
            "postgres://web:secret@db/shop?sslrootcert=%2Fsecret",
        ] {
            let error = Target::parse(url).err().expect(url);
            assert!(matches!(error, ConnectError::Url { .. }), "{url}: {error}");
            assert!(!format!("{error:?} {error}").contains("secret"), "{url}: {error:?}");
        }
    }

    #[test]
    fn certificates_that_cannot_be_read_are_named() {
        let url = "postgres://web@db/shop?sslmode=verify-full&sslrootcert=";
        let error = Target::parse(&format!("{url}/nowhere.pem")).err().unwrap();
        assert!(error.to_string().contains("`/nowhere.pem`"), "{error}");
        let empty = tempfile::NamedTempFile::new().unwrap();
        let error = Target::parse(&format!("{url}{}", empty.path().display())).err().unwrap();
        assert!(error.to_string().contains("no certificate"), "{error}");
    }
}
