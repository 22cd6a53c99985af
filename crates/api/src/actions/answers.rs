//! Actions of the existing system that have nothing to do here, or are not done yet: each says so.

use crate::ApiError;
use axum::Json;
use serde_json::{Value, json};

/// `POST /execute-job`.
pub(crate) async fn execute_job() -> ApiError {
    ApiError::not_done_here("execute-job is not yet available: this controller runs no fabric jobs")
}

/// `POST /abort-job`.
pub(crate) async fn abort_job() -> ApiError {
    ApiError::not_done_here("abort-job is not yet available: this controller runs no fabric jobs")
}

/// `POST /obj-cache`: every read goes to the store, there is no cache to show or to empty.
pub(crate) async fn obj_cache() -> Json<Value> {
    Json(json!({"cache": {}, "enabled": false}))
}

/// `POST /database-check`.
pub(crate) async fn database_check() -> ApiError {
    ApiError::not_done_here("database-check is not done by the service: run `weft store check`")
}

/// `POST /fetch-records`.
pub(crate) async fn fetch_records() -> ApiError {
    ApiError::not_done_here("fetch-records is not done by the service: run `weft store export`")
}

/// `POST /amqp-publish` and `POST /amqp-request`.
pub(crate) async fn amqp() -> ApiError {
    ApiError::not_done_here("there is no message bus: follow changes by GET /watch")
}

/// `POST /hbs-get`.
pub(crate) async fn hbs_get() -> ApiError {
    ApiError::not_done_here("hbs-get is not yet available: host based services are not run")
}
