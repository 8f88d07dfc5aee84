//! Files as other programs write them.

#[expect(unused_imports, reason = "soon")]
use super::*;
