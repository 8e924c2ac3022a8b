//! The admin server: `/metrics`, `/livez`, `/readyz`, `/v1/model`, `POST /v1/classify`.
