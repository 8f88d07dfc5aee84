//! Absent, clear and value are three different things, from the wire to the SQL.

/// What a row or a request says about one field.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Patch<T> {
    /// Nothing was said: the field keeps what it has.
    #[default]
    Keep,
    /// The field is to hold nothing.
    Clear,
    /// The field is to be changed by this.
    Set(T),
}
