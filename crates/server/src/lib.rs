//! How the world reaches Muster: the HTTP faces, the command line, and the processes that serve them.

pub mod cli;
pub mod config;
pub mod generate;
pub mod home;
pub mod http;
pub mod limits;
pub mod quickstart;
pub mod serve;
