//! The labels of a request that vary by request: method and status. Both sets are closed, so a cell is an index.

use std::borrow::Cow;

/// The method label. Whatever is not a method of RFC 9110 or RFC 5789 shares one value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum MethodLabel {
    /// `GET`
    Get,
    /// `HEAD`
    Head,
    /// `POST`
    Post,
    /// `PUT`
    Put,
    /// `DELETE`
    Delete,
    /// `PATCH`
    Patch,
    /// `OPTIONS`
    Options,
    /// Every other method.
    Other,
}

impl MethodLabel {
    /// All labels, in the order of their discriminants.
    pub const ALL: [Self; 8] =
        [Self::Get, Self::Head, Self::Post, Self::Put, Self::Delete, Self::Patch, Self::Options, Self::Other];

    /// The label of a method as it stands in a request line.
    #[must_use]
    pub fn of(method: &[u8]) -> Self {
        match method {
            b"GET" => Self::Get,
            b"HEAD" => Self::Head,
            b"POST" => Self::Post,
            b"PUT" => Self::Put,
            b"DELETE" => Self::Delete,
            b"PATCH" => Self::Patch,
            b"OPTIONS" => Self::Options,
            _ => Self::Other,
        }
    }

    /// The text that stands in the exposition.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Head => "HEAD",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Delete => "DELETE",
            Self::Patch => "PATCH",
            Self::Options => "OPTIONS",
            Self::Other => "other",
        }
    }
}

/// How many statuses have a series of their own; any other is counted under its class (`4xx`).
const KNOWN: u8 = 43;
const STATUSES: [u16; KNOWN as usize] = [
    100, 101, 103, 200, 201, 202, 204, 206, 301, 302, 303, 304, 307, 308, 400, 401, 403, 404, 405, 406, 408,
    409, 410, 412, 413, 414, 415, 416, 417, 421, 422, 425, 428, 429, 431, 499, 500, 501, 502, 503, 504, 505,
    507,
];
const CLASSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];
const COLUMNS: usize = STATUSES.len() + CLASSES.len();

/// `COLUMN_OF[status - 100]` is the column of a status; built once, at compile time.
const COLUMN_OF: [u8; 500] = {
    let mut columns = [0; 500];
    let mut offset = 0;
    while offset < columns.len() {
        columns[offset] = KNOWN + [0, 1, 2, 3, 4][offset / 100];
        offset += 1;
    }
    let mut known = 0;
    while known < KNOWN {
        columns[STATUSES[known as usize] as usize - 100] = known;
        known += 1;
    }
    columns
};

/// Cells of a route: one for each method and status column.
pub(super) const CELLS: usize = MethodLabel::ALL.len() * COLUMNS;

/// The cell of a method and a status; a status outside 100..=599 counts as 500.
pub(super) fn cell(method: MethodLabel, status: u16) -> usize {
    let offset = if (100..600).contains(&status) { status - 100 } else { 400 };
    method as usize * COLUMNS + usize::from(COLUMN_OF[usize::from(offset)])
}

/// The labels of a cell in the exposition.
pub(super) fn of_cell<'a>(
    service: &'a str,
    route: &'a str,
    cell: usize,
) -> [(&'static str, Cow<'a, str>); 4] {
    let column = cell % COLUMNS;
    let status = match STATUSES.get(column) {
        Some(status) => status.to_string().into(),
        None => CLASSES[column - STATUSES.len()].into(),
    };
    [
        ("service", service.into()),
        ("route", route.into()),
        ("method", MethodLabel::ALL[cell / COLUMNS].as_str().into()),
        ("status", status),
    ]
}
