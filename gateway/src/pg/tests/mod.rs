//! The endpoint through real sockets: drivers, raw bytes, slow sources and vanishing clients.

mod bounds;
mod extended;
mod foreign;
mod hostile;
mod notify;
mod outdated;
mod plans;
mod simple;
mod streaming;
mod support;
mod values;
