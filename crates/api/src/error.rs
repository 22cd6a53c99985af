//! Errors as clients see them: a status code and a plain-text message (wire-facts 2.2; never JSON).

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use weft_model::ModelError;
use weft_store::StoreError;

/// The message of a refusal, for those between handler and client.
#[derive(Debug, Clone)]
pub(crate) struct Refusal(pub(crate) String);

/// A refused or failed request.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{status}: {message}")]
pub struct ApiError {
    /// Status code of the answer.
    pub status: StatusCode,
    /// Body of the answer.
    pub message: String,
}

impl ApiError {
    fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self { status, message: message.into() }
    }

    /// 400: the request is wrong in itself.
    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, message)
    }

    /// 401: it is not known who asks.
    pub fn unauthorized(message: impl Into<String>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, message)
    }

    /// 429: too often.
    pub fn too_many(message: impl Into<String>) -> Self {
        Self::new(StatusCode::TOO_MANY_REQUESTS, message)
    }

    /// 403: the caller, or nobody, may do this.
    pub fn forbidden(message: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, message)
    }

    /// 404: no such object, name or type.
    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, message)
    }

    /// 409: the state of other objects does not allow it.
    pub fn conflict(message: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, message)
    }

    /// 412: a quota of the project is used up.
    pub fn over_quota(message: impl Into<String>) -> Self {
        Self::new(StatusCode::PRECONDITION_FAILED, message)
    }

    /// 400: known, and not done by this service. Not 501: a 5xx says that the service failed, and asking again will not help.
    pub fn not_done_here(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, message)
    }

    /// 413: more than is taken.
    pub fn too_large(message: impl Into<String>) -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, message)
    }

    /// 500: our fault.
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, message)
    }

    /// 503: try again.
    pub fn unavailable(message: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, message)
    }
}

impl From<ModelError> for ApiError {
    fn from(error: ModelError) -> Self {
        match error {
            ModelError::Malformed(message) => Self::internal(message),
            ModelError::UnknownType(_) => Self::not_found(error.to_string()),
            other => Self::bad_request(other.to_string()),
        }
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::TooLarge { .. } => Self::new(StatusCode::PAYLOAD_TOO_LARGE, error.to_string()),
            StoreError::InvalidTxn(_) => Self::bad_request(error.to_string()),
            StoreError::Unavailable(_) | StoreError::Refused(_) => Self::unavailable(error.to_string()),
            other => Self::internal(other.to_string()),
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        if self.status.is_server_error() {
            tracing::error!(status = self.status.as_u16(), message = self.message, "request failed");
        }
        let refusal = Refusal(self.message.clone());
        let mut response =
            (self.status, [("content-type", "text/plain; charset=utf-8")], self.message).into_response();
        response.extensions_mut().insert(refusal);
        response
    }
}
