//! The arguments of `phalanx token`.

use std::{path::PathBuf, time::Duration};

use clap::{Args, Subcommand, builder::PossibleValuesParser, builder::TypedValueParser as _};
use phalanx_auth::Algorithm;

/// The help of `phalanx token`.
pub(super) const TOKEN: &str = "\
FILE is a JSON Web Key or a set of them; `-` reads it from standard input, and so does `-` for TOKEN.

Start with:
  phalanx token keys generate --alg EdDSA -o keys.json
  TOKEN=$(phalanx token sign --keys keys.json --subject 42 --role admin)
  phalanx token keys public keys.json > jwks.json
  phalanx token verify --jwks jwks.json \"$TOKEN\"";

const SIGN: &str = "\
The token is an access token (RFC 9068) as `phalanx api` issues them: `typ` is at+jwt, and iat, nbf, exp and jti are set. Without
--session it names no login: a verifier that is told to take other issuers' tokens accepts it, the reference API does not.

Examples:
  phalanx token sign --keys keys.json --subject 42 --session 7 --role user --role admin --issuer phalanx --audience api
  JWT_SECRET=$(cat .phalanx/jwt_secret) phalanx token sign --secret-env JWT_SECRET --subject cron --ttl 1h
  phalanx token sign --keys keys.json --subject 42 --claims '{\"tenant\": \"acme\"}'";

const VERIFY: &str = "\
Prints the claims of a valid token. Of one that is not valid the reason is told on standard error, and the exit code is 1.

The key decides on the algorithm: its `alg`, or what its type stands for (EC P-256: ES256, P-384: ES384, Ed25519: EdDSA, RSA:
RS256, oct: HS256). --alg restricts the algorithms, and names that of keys without `alg`; it never overrides one. A key that is
too small, off its curve or not for verifying is passed over. `exp` must be there; `iss` and `aud` are compared if you say with
what. Whether the token was revoked is not looked at.

Examples:
  phalanx token verify --jwks jwks.json --issuer https://api.example.com --audience api \"$TOKEN\"
  curl -s http://127.0.0.1:3000/.well-known/jwks.json | phalanx token verify --jwks - \"$TOKEN\"
  phalanx token verify --jwks rsa.json --alg PS256 --signature-only \"$TOKEN\"";

const INSPECT: &str = "\
Anybody can write a token: what is shown is what it says, not what is true. `phalanx token verify` checks it.

Example: phalanx token inspect \"$TOKEN\"";

const KEYS: &str = "\
A key file holds private keys, each with a `state`: the `current` one signs, the `next` one is published so that all verifiers
have it before it signs, and `retired` ones verify what they have signed. `phalanx api` reads one from JWT_KEYS.

A rotation, say once a month:
  phalanx token keys rotate keys.json      next signs, current is retired, a fresh key is next; then restart the replicas
  phalanx token keys list keys.json";

const ROTATE: &str = "\
If there is no next key, the fresh one becomes next and nothing else changes: run it once more when all verifiers have fetched the
keys, which takes an hour at most. The file is replaced as a whole, or left as it was.

Example: phalanx token keys rotate keys.json --keep 24h";

#[derive(Debug, Args)]
pub(crate) struct TokenArguments {
    #[command(subcommand)]
    pub(crate) operation: TokenOperation,
}

#[derive(Debug, Subcommand)]
pub(crate) enum TokenOperation {
    /// Sign an access token
    #[command(after_help = SIGN)]
    Sign(TokenSignArguments),
    /// Verify a token and print its claims
    #[command(after_help = VERIFY)]
    Verify(TokenVerifyArguments),
    /// Show what a token says, WITHOUT verifying it
    #[command(after_help = INSPECT)]
    Inspect(TokenInspectArguments),
    /// Make, rotate and publish keys
    #[command(after_help = KEYS)]
    Keys {
        #[command(subcommand)]
        operation: TokenKeysOperation,
    },
}

#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("key").required(true))]
pub(crate) struct TokenSignArguments {
    /// The private keys, of which the current one signs
    #[arg(long, value_name = "FILE", group = "key")]
    pub(crate) keys: Option<PathBuf>,
    /// The variable that holds the secret, for HS256
    #[arg(long, value_name = "VAR", group = "key")]
    pub(crate) secret_env: Option<String>,
    /// Who it is for (sub)
    #[arg(long)]
    pub(crate) subject: String,
    /// A role; may be repeated
    #[arg(long = "role", value_name = "ROLE")]
    pub(crate) roles: Vec<String>,
    /// The login it belongs to (sid)
    #[arg(long)]
    pub(crate) session: Option<String>,
    /// The account's epoch (sv)
    #[arg(long, default_value_t = 0)]
    pub(crate) epoch: u64,
    /// Who issues it (iss)
    #[arg(long)]
    pub(crate) issuer: Option<String>,
    /// Whom it is shown to (aud)
    #[arg(long)]
    pub(crate) audience: Option<String>,
    /// How long it is valid
    #[arg(long, value_name = "DURATION", default_value = "10m", value_parser = lifetime)]
    pub(crate) ttl: Duration,
    /// Further claims, as a JSON object
    #[arg(long, value_name = "JSON")]
    pub(crate) claims: Option<String>,
}

#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("key").required(true))]
pub(crate) struct TokenVerifyArguments {
    /// The keys: a set or a single one, public, private or a secret
    #[arg(long, value_name = "FILE", group = "key")]
    pub(crate) jwks: Option<PathBuf>,
    /// The variable that holds the secret, for HS256
    #[arg(long, value_name = "VAR", group = "key", conflicts_with = "algorithms")]
    pub(crate) secret_env: Option<String>,
    /// An algorithm that is accepted; may be repeated
    #[arg(long = "alg", value_name = "ALG", value_parser = algorithms(&Algorithm::ALL))]
    pub(crate) algorithms: Vec<Algorithm>,
    /// The audience it must be for (aud)
    #[arg(long)]
    pub(crate) audience: Option<String>,
    /// The issuer it must be from (iss)
    #[arg(long)]
    pub(crate) issuer: Option<String>,
    /// Judge header and signature alone; the payload may be any bytes, and is printed as it is
    #[arg(long, conflicts_with_all = ["audience", "issuer"])]
    pub(crate) signature_only: bool,
    /// The token
    #[arg(allow_hyphen_values = true)]
    pub(crate) token: String,
}

#[derive(Debug, Args)]
pub(crate) struct TokenInspectArguments {
    /// The token
    #[arg(allow_hyphen_values = true)]
    pub(crate) token: String,
}

#[derive(Debug, Subcommand)]
pub(crate) enum TokenKeysOperation {
    /// Make a key file with one key
    #[command(after_help = "Example: phalanx token keys generate --alg EdDSA -o keys.json")]
    Generate {
        /// What it signs with. RSA keys get 2048 bits
        #[arg(long = "alg", value_name = "ALG", value_parser = algorithms(&GENERATED))]
        algorithm: Algorithm,
        /// The file, which must not exist and will be readable by you alone; default: standard output
        #[arg(short, long, value_name = "FILE")]
        output: Option<PathBuf>,
    },
    /// Let the next key sign, retire the current one, and add a fresh next one
    #[command(after_help = ROTATE)]
    Rotate {
        /// The key file
        file: PathBuf,
        /// How long a retired key verifies: at least as long as a token is valid
        #[arg(long, value_name = "DURATION", default_value = "7d", value_parser = keep)]
        keep: Duration,
    },
    /// Print what verifiers may know of the keys: the set for /.well-known/jwks.json
    #[command(after_help = "Secrets (HS256) are not shown: whoever has one can sign.")]
    Public {
        /// The key file
        file: PathBuf,
    },
    /// List the keys and their states
    List {
        /// The key file
        file: PathBuf,
    },
}

/// Those that keys are made for; the others are for what exists elsewhere.
const GENERATED: [Algorithm; 5] =
    [Algorithm::EdDSA, Algorithm::ES256, Algorithm::RS256, Algorithm::PS256, Algorithm::HS256];

fn algorithms(known: &[Algorithm]) -> impl clap::builder::TypedValueParser<Value = Algorithm> + use<> {
    PossibleValuesParser::new(known.iter().map(|algorithm| algorithm.as_str()))
        .try_map(|name| Algorithm::of(&name).ok_or("is not known"))
}

fn lifetime(text: &str) -> Result<Duration, String> {
    let lifetime = phalanx_config::parse_duration(text)?;
    if lifetime < Duration::from_secs(1) {
        return Err("is over before it begins: give at least 1s".to_owned());
    }
    Ok(lifetime)
}

/// Days too, of which nothing else here lasts several.
fn keep(text: &str) -> Result<Duration, String> {
    let days = text.strip_suffix('d').and_then(|days| days.parse::<u32>().ok());
    match days {
        Some(days) => Ok(Duration::from_secs(u64::from(days) * 24 * 60 * 60)),
        None => phalanx_config::parse_duration(text),
    }
}
