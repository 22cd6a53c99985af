//! Actions: requests that are not about one object's life.

pub(crate) mod answers;
pub(crate) mod drafts;
pub(crate) mod set_tag;
