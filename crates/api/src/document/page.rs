//! The page at `/docs`: one file that shows the document, and a policy that lets it load nothing else.

use std::sync::LazyLock;

use aws_lc_rs::digest::{SHA256, digest};
use axum::body::Bytes;
use base64::{Engine as _, prelude::BASE64_STANDARD};

const SCRIPT: &str = include_str!("page.js");
const STYLE: &str = include_str!("page.css");
const HTML: &str = include_str!("page.html");

/// The page, put together once.
pub(crate) static PAGE: LazyLock<Page> = LazyLock::new(Page::assemble);

/// A page and what it may do.
pub(crate) struct Page {
    pub(crate) html: Bytes,
    /// For `Content-Security-Policy`.
    pub(crate) policy: String,
}

impl Page {
    fn assemble() -> Self {
        let html = HTML.replace("/*style*/", STYLE).replace("/*script*/", SCRIPT);
        // The two inline parts are named by their hashes, so nothing that might get into the page would run.
        let policy = format!(
            "default-src 'none'; script-src '{}'; style-src '{}'; connect-src 'self'; base-uri 'none'; \
             form-action 'none'; frame-ancestors 'none'",
            hash(SCRIPT),
            hash(STYLE),
        );
        Self { html: html.into(), policy }
    }
}

fn hash(text: &str) -> String {
    format!("sha256-{}", BASE64_STANDARD.encode(digest(&SHA256, text.as_bytes())))
}
