//! How the world reaches Muster: the HTTP faces, the command line, and the processes that serve them.

pub mod http;
