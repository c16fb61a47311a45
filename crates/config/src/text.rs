//! Texts with a form of their own: each module reads one kind and says why another text is none.

pub(crate) mod address;
pub(crate) mod cores;
pub(crate) mod dns_name;
pub(crate) mod duration;
pub(crate) mod hash_key;
pub(crate) mod host;
pub(crate) mod network;
pub(crate) mod path;
pub(crate) mod size;
pub(crate) mod url;

/// Why a text is not what its key takes. Fixed words only: the text may come from the environment.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// Continues a sentence that begins with the text.
    pub(crate) problem: &'static str,
    pub(crate) help: &'static str,
}
