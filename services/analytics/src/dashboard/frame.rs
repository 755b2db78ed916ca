//! What all pages have around them.

use crate::error::AnalyticsError;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{Html, IntoResponse, Response};
use maud::{DOCTYPE, Markup, html};

const STYLE: &str = include_str!("style.css");

/// A page.
pub fn page(title: &str, body: &Markup) -> Response {
    with_status(StatusCode::OK, title, body)
}

/// The stylesheet.
pub async fn style() -> impl IntoResponse {
    ([(CONTENT_TYPE, "text/css; charset=utf-8")], STYLE)
}

/// There is no such page.
pub async fn not_found() -> Response {
    with_status(StatusCode::NOT_FOUND, "Not found", &html! { p { "There is no such page." } })
}

/// What a person is told when something went wrong; what is internal is logged only.
pub fn failed(error: &AnalyticsError) -> Response {
    let (status, title, lines) = match error {
        AnalyticsError::Invalid(violations) => {
            let lines = violations.as_slice().iter().map(|v| format!("{}: {}", v.field, v.description)).collect();
            (StatusCode::BAD_REQUEST, "That cannot be answered", lines)
        }
        AnalyticsError::OrderNotFound(_) => (StatusCode::NOT_FOUND, "No such order", vec![error.to_string()]),
        AnalyticsError::Busy => (StatusCode::SERVICE_UNAVAILABLE, "Busy", vec![error.to_string()]),
        AnalyticsError::Database(source) => {
            tracing::error!(error = %source, "database failed");
            (StatusCode::INTERNAL_SERVER_ERROR, "Something went wrong", vec!["Please try again.".to_owned()])
        }
    };
    with_status(status, title, &html! { @for line in lines { p.problem { (line) } } })
}

fn with_status(status: StatusCode, title: &str, body: &Markup) -> Response {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (title) " · Pesan" }
                link rel="stylesheet" href="/style.css";
            }
            body {
                header {
                    a.brand href="/" { "Pesan" }
                    form action="/journey" method="get" role="search" {
                        label for="order" { "Order journey" }
                        input #order name="order" placeholder="SO-000123" required maxlength="300";
                        button { "Show" }
                    }
                }
                main {
                    h1 { (title) }
                    (body)
                }
            }
        }
    };
    (status, Html(page.into_string())).into_response()
}
