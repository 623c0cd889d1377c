//! Bytes as complaints show them.

/// The first bytes, for people.
pub fn excerpt(bytes: &[u8]) -> String {
    bytes[..bytes.len().min(60)].escape_ascii().to_string()
}
