//! The pages answer, say what is there, and take nobody's text for markup.

use crate::script::{NewOrder, Script};
use crate::story::story;
use crate::world::{World, start};
use sqlx::PgPool;
use time::macros::datetime;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

/// Status line and headers, and the body.
async fn fetch(world: &World, method: &str, path: &str) -> (String, String) {
    let mut stream = tokio::net::TcpStream::connect(world.dashboard).await.unwrap();
    let request = format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.to_lowercase(), body.to_owned())
}

async fn get(world: &World, path: &str) -> (String, String) {
    fetch(world, "GET", path).await
}

#[sqlx::test(migrations = false)]
async fn the_overview_shows_the_figures(pool: PgPool) {
    let world = start(&pool).await;
    let (head, body) = get(&world, "/").await;
    assert!(head.starts_with("http/1.1 200") && body.contains("no orders yet"));

    world.play(&story().events).await;
    let (head, body) = get(&world, "/?from=2011-01-01&to=2011-03-01").await;
    assert!(head.starts_with("http/1.1 200"), "{head}");
    for figure in ["2011-01: 145.00", "2011-02: 100.00", "2011-01: 3", "2011-02: 0.5", "2011-01: 2", "2011-02: 1"] {
        assert!(body.contains(figure), "{figure}");
    }
    // Products and countries over both months: P1 160.00 of 14 + 2 units, France 110.00 in two orders.
    for cell in ["P1", "160.00", "FR", "110.00", "GB", "135.00"] {
        assert!(body.contains(&format!(">{cell}</td>")), "{cell}");
    }
    let (_, of_edi) = get(&world, "/?from=2011-01-01&to=2011-03-01&channel=edi").await;
    assert!(of_edi.contains("2011-01: 100.00") && !of_edi.contains("145.00"));
    let (_, in_berlin) = get(&world, "/?from=2011-01-01&to=2011-03-01&zone=Europe/Berlin").await;
    assert!(in_berlin.contains("2011-01: 125.00") && in_berlin.contains("2011-02: 120.00"));
    let (_, by_itself) = get(&world, "/").await;
    assert!(by_itself.contains("2011-02: 100.00"), "the last months that have orders");
}

#[sqlx::test(migrations = false)]
async fn a_journey_is_found_by_its_number(pool: PgPool) {
    let world = start(&pool).await;
    world.play(&story().events).await;
    let (head, body) = get(&world, "/journey?order=SO-000001").await;
    assert!(head.starts_with("http/1.1 200"));
    assert!(body.contains("Journey of SO-000001") && body.contains("simulated T1-1"));
    let accepted = body.find("OrderAccepted").unwrap();
    assert!(accepted < body.find("GoodsIssued").unwrap());
    let (head, body) = get(&world, "/journey?order=%3Cscript%3Ealert(1)%3C/script%3E").await;
    assert!(head.starts_with("http/1.1 404"), "{head}");
    assert!(body.contains("&lt;script&gt;") && !body.contains("<script"));
    let (head, _) = get(&world, "/journey").await;
    assert!(head.starts_with("http/1.1 404"));
}

#[sqlx::test(migrations = false)]
async fn text_of_others_is_never_markup(pool: PgPool) {
    let world = start(&pool).await;
    let evil = "<script>\"'&";
    let mut s = Script::default();
    s.accept(&NewOrder {
        number: 1,
        at: datetime!(2011-01-05 10:00 UTC),
        customer: Some(1),
        channel: evil,
        country: evil,
        segment: evil,
        sales_rep: evil,
        currency: "GBP",
        lines: &[(evil, 1, 100, 0)],
    });
    world.play(&s.events).await;
    for path in
        ["/", "/journey?order=SO-000001", "/?channel=%3Cscript%3E%22%27", "/?zone=%3Cscript%3E", "/%3Cscript%3E"]
    {
        let (_, body) = get(&world, path).await;
        assert!(!body.contains("<script"), "{path}");
    }
    let (_, body) = get(&world, "/").await;
    assert!(body.contains("&lt;script&gt;"));
}

#[sqlx::test(migrations = false)]
async fn every_answer_is_locked_down_and_nothing_can_be_changed(pool: PgPool) {
    let world = start(&pool).await;
    for (path, status) in
        [("/", "200"), ("/style.css", "200"), ("/journey?order=x", "404"), ("/nowhere", "404"), ("/?zone=x", "200")]
    {
        let (head, body) = get(&world, path).await;
        assert!(head.starts_with(&format!("http/1.1 {status}")), "{path}: {head}");
        for header in [
            "content-security-policy: default-src 'none'; style-src 'self'; form-action 'self'",
            "x-content-type-options: nosniff",
            "x-frame-options: deny",
            "referrer-policy: no-referrer",
            "cache-control: no-store",
        ] {
            assert!(head.contains(header), "{path} lacks {header}");
        }
        assert!(!body.contains("http://") && !body.contains("https://"), "{path} points elsewhere");
        assert!(!body.contains(" style=") && !body.contains(" onclick"), "{path} has what the policy forbids");
    }
    for method in ["POST", "PUT", "DELETE"] {
        let (head, _) = fetch(&world, method, "/").await;
        assert!(head.starts_with("http/1.1 405"), "{method}");
    }
    world.play(&story().events).await;
    for path in ["/?zone=x", "/?from=yesterday", "/?from=2011-02-01&to=2011-01-01", "/?currency=euro"] {
        let (head, body) = get(&world, path).await;
        assert!(head.starts_with("http/1.1 400"), "{path}");
        assert!(body.contains("That cannot be answered"));
    }
}
