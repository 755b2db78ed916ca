//! `pesan bench fill`: stored orders are what the services would have left.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use serde_json::Value;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};

use super::{SERVICES, Up, data, eventually};

const ORDERS: u64 = 2_000;
/// One in the middle.
const STORED: &str = "SO-1001234";
/// Different for every order, and from one run to the next: only whether they are there is compared.
const OWN: [&str; 14] = [
    "recorded_at",
    "confirmed_at",
    "asked_at",
    "look_at",
    "request_id",
    "request_hash",
    "traceparent",
    "trace_id",
    "event_id",
    "id",
    "xid",
    "seq",
    "place",
    "tracking_number",
];

fn fill(data: &Path) -> (bool, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pesan"));
    for service in SERVICES {
        command.env_remove(format!("PESAN_{}_DATABASE_URL", service.to_uppercase()));
    }
    command.args(["bench", "fill", "--output", "json", "--orders", &ORDERS.to_string(), "--data"]).arg(data);
    let output = command.output().unwrap();
    let text = if output.status.success() { output.stdout } else { output.stderr };
    (output.status.success(), String::from_utf8(text).unwrap())
}

#[test]
fn a_suite_that_was_filled_goes_on_as_if_it_had_done_it_all() {
    let data = data();
    let (filled, report) = fill(data.path());
    assert!(filled, "{report}");
    let report: Value = serde_json::from_str(&report).unwrap();
    assert_eq!(report["orders"], ORDERS);
    assert!(report["bytes_per_order"].as_u64().unwrap() > 1_000, "{report}");
    let (filled, refusal) = fill(data.path());
    assert!(!filled && refusal.contains("has orders already"), "{refusal}");

    let suite = Up::start(data.path(), &[]);
    assert_holds(&suite);
    let stored = order(&suite, STORED);
    assert_eq!(stored["state"], "ORDER_STATE_COMPLETED", "{stored}");
    let mut twin = vec!["order", "place", "--straight-through", "--country", "GB", "--channel", "stored"];
    let customer = stored["customer_external_id"].as_str().unwrap();
    twin.extend(["--customer", customer, "--at", stored["placed_at"].as_str().unwrap()]);
    let lines: Vec<String> = stored["lines"].as_array().unwrap().iter().map(line).collect();
    lines.iter().for_each(|line| twin.extend(["--line", line]));
    let placed = suite.json(&twin);
    let number = placed["order"]["number"].as_str().unwrap();
    assert_eq!(number, format!("SO-{}", 1_000_001 + ORDERS), "numbers go on");
    eventually("the order is completed", || (order(&suite, number)["state"] == stored["state"]).then_some(()));
    let confirmed = suite.json(&["bench", "confirm", "--seconds", "1", "--concurrency", "2", "--batch", "5"]);
    assert!(confirmed["done"].as_u64().unwrap() > 0 && confirmed["errors"] == 0, "{confirmed}");
    assert_holds(&suite);

    let access: Value = serde_json::from_slice(&std::fs::read(data.path().join("run/postgres.json")).unwrap()).unwrap();
    let url = access["url"].as_str().unwrap().replace("/postgres?", "/pesan?");
    let url = url.strip_suffix("/postgres").map_or(url.clone(), |server| format!("{server}/pesan"));
    tokio::runtime::Runtime::new().unwrap().block_on(compare(&url, number));
    suite.stop();
}

fn order(suite: &Up, number: &str) -> Value {
    suite.json(&["order", "get", number])["order"].take()
}

fn assert_holds(suite: &Up) {
    let report = suite.json(&["verify"]);
    assert_eq!(report["ok"], true, "{report}");
    let orders = report["invariants"].as_array().unwrap().iter().find(|i| i["name"] == "order_vs_analytics.gross");
    assert!(orders.unwrap()["rows_checked"].as_u64().unwrap() >= ORDERS, "{orders:?}");
}

fn line(line: &Value) -> String {
    format!("{}:1@2.55", line["sku"].as_str().unwrap())
}

/// All that is kept of the stored order, and of its twin that the services carried out, is the same.
async fn compare(url: &str, twin: &str) {
    let mut conn = PgConnection::connect(url).await.unwrap();
    let stored = Kept::of(&mut conn, STORED).await;
    let twin = Kept::of(&mut conn, twin).await;
    assert!(stored.tables.len() > 20, "{:?}", stored.tables.keys());
    let names = |kept: &Kept| kept.tables.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&stored), names(&twin));
    let is_other = |(table, rows): &(&String, &Vec<String>)| twin.tables[*table] != **rows;
    let different: Vec<_> =
        stored.tables.iter().filter(is_other).map(|(table, rows)| (table, rows, &twin.tables[table])).collect();
    assert!(different.is_empty(), "tables, what was stored, and what the services keep: {different:#?}");
    conn.close().await.unwrap();
}

/// All rows about one order, by table.
struct Kept {
    tables: BTreeMap<String, Vec<String>>,
}

impl Kept {
    async fn of(conn: &mut PgConnection, number: &str) -> Self {
        let digits = number.strip_prefix("SO-").unwrap();
        let ids: [String; 6] = sqlx::query_as::<_, (String, String, String, String, String, String)>(
            "select o.order_id::text, f.id::text, d.id::text, p.id::text, t.tracking_number,
                    d.series || '-' || lpad(d.number::text, 6, '0')
               from pesan_order.orders o
               join pesan_fulfilment.fulfilment_order f using (order_id)
               join pesan_fulfilment.parcel t on t.fulfilment_order_id = f.id
               join pesan_billing.document d using (order_id)
               join pesan_billing.posting p on p.reference = d.id
              where o.number = $1",
        )
        .bind(digits.parse::<i64>().unwrap())
        .fetch_one(&mut *conn)
        .await
        .unwrap()
        .into();
        let patterns: Vec<String> = ids.iter().map(|id| format!("%{id}%")).collect();
        let names = ["order", "fulfilment", "document", "posting", "tracking", "invoice"];
        let mut names: Vec<(String, &str)> = ids.into_iter().zip(names).collect();
        names.push((digits.to_owned(), "number"));
        let hexes: Vec<(String, &str)> = names.iter().map(|(id, name)| (hex(id), *name)).collect();
        names.extend(hexes);
        let found: Vec<(String, String)> = sqlx::query_as(
            "select nspname::text, relname::text from pg_class c join pg_namespace n on n.oid = c.relnamespace
              where nspname like 'pesan\\_%' and relkind in ('r', 'p') and not relispartition order by 1, 2",
        )
        .fetch_all(&mut *conn)
        .await
        .unwrap();
        let mut tables = BTreeMap::new();
        for (schema, table) in found {
            let statement =
                format!("select to_jsonb(t)::text from {schema}.{table} t where to_jsonb(t)::text like any ($1)");
            let rows: Vec<String> =
                sqlx::query_scalar(AssertSqlSafe(statement)).bind(&patterns).fetch_all(&mut *conn).await.unwrap();
            let mut rows: Vec<String> = rows.iter().map(|row| plain(row, &names, &table)).collect();
            rows.sort();
            if !rows.is_empty() {
                tables.insert(format!("{schema}.{table}"), rows);
            }
        }
        Self { tables }
    }
}

fn hex(text: &str) -> String {
    text.bytes().map(|byte| format!("{byte:02x}")).collect()
}

/// A row with names for what is the order's own.
fn plain(row: &str, names: &[(String, &str)], table: &str) -> String {
    let row = names.iter().fold(row.to_owned(), |row, (id, name)| row.replace(id, name));
    // A number that became a name is no JSON any more.
    let row = row.replace(": number", ": \"number\"");
    let Value::Object(mut columns) = serde_json::from_str(&row).unwrap() else { panic!("{row}") };
    let is_reserved = columns.get("type").is_some_and(|kind| kind == "pesan.inventory.v1.StockReserved");
    for (column, value) in &mut columns {
        let is_own = OWN.contains(&column.as_str()) || (table == "document" && column == "number");
        if is_own && !value.is_null() {
            *value = Value::from("own");
        }
        // It ends with the time at which the reservation would lapse.
        if column == "payload" && is_reserved {
            let text = value.as_str().unwrap();
            *value = Value::from(&text[..text.rfind("1a0").unwrap()]);
        }
    }
    Value::Object(columns).to_string()
}
