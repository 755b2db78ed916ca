//! Each rule catches the tree that breaks just it, and a clean tree passes.

mod tree;

use tree::Tree;

#[test]
fn a_clean_tree_passes() {
    assert_eq!(Tree::clean().broken(), Vec::<String>::new());
}

#[test]
fn services_do_not_depend_on_each_other() {
    let tree = Tree::clean();
    tree.append("services/order/Cargo.toml", "[dev-dependencies]\npesan-billing = { path = \"../billing\" }\n");
    tree.breaks("services/order/Cargo.toml:8: dependencies: `pesan-order` depends on `pesan-billing`");
}

#[test]
fn the_command_line_and_tests_may_depend_on_several_services() {
    let tree = Tree::clean();
    let both =
        "pesan-order = { path = \"../../services/order\" }\npesan-billing = { path = \"../../services/billing\" }\n";
    tree.append("services/cli/Cargo.toml", both);
    tree.append("tests/lint/Cargo.toml", both);
    assert_eq!(tree.broken(), Vec::<String>::new());
}

#[test]
fn shared_crates_do_not_depend_on_services() {
    let tree = Tree::clean();
    tree.append("shared/host/Cargo.toml", "pesan-order = { path = \"../../services/order\" }\n");
    tree.breaks("shared/host/Cargo.toml:7: dependencies: `pesan-host` depends on `pesan-order`");
}

#[test]
fn no_crate_has_an_empty_name() {
    let tree = Tree::clean();
    tree.add_crate("shared/host2", "pesan-utils");
    tree.breaks("shared/host2/Cargo.toml:1: names: crate `pesan-utils`");
}

#[test]
fn no_module_has_an_empty_name() {
    let tree = Tree::clean();
    tree.append("services/order/src/lib.rs", "mod helpers;\n");
    tree.breaks("services/order/src/lib.rs:5: names: module `helpers`");
}

#[test]
fn shared_crates_know_no_business() {
    let noun = |code: &str| {
        let tree = Tree::clean();
        tree.write("shared/host/src/lib.rs", code);
        tree.breaks("shared/host/src/lib.rs:1: nouns:");
    };
    noun("pub struct OrderId(u64);\n");
    noun("pub fn release(reservation: u64) {}\n");
    noun("pub const TABLE: &str = \"invoice_lines\";\n");
    noun("pub fn f() { println!(\"{}\", shipment); }\n");
}

#[test]
fn plain_words_comments_and_tests_are_no_business() {
    let tree = Tree::clean();
    let code = "//! Keeps each order_id in order.\n\
                use std::cmp::Ordering;\n\
                pub const SQL: &str = \"select 1 from outbox order by xid\";\n\
                pub fn in_order(ordered: bool, stockpile: u8) -> Ordering { Ordering::Less }\n\
                #[cfg(test)]\nmod tests { struct Invoice; }\n";
    tree.write("shared/host/src/lib.rs", code);
    assert_eq!(tree.broken(), Vec::<String>::new());
}

#[test]
fn layers_point_one_way() {
    let wrong = |path: &str, code: &str, place: &str| {
        let tree = Tree::clean();
        tree.write(path, code);
        tree.breaks(place);
    };
    wrong(
        "services/order/src/order.rs",
        "use crate::store::load;\n",
        "services/order/src/order.rs:1: layers: `crate::store",
    );
    wrong("services/order/src/store.rs", "fn f() { crate::ops::place() }\n", "services/order/src/store.rs:1: layers:");
    wrong("services/order/src/ops/place.rs", "use super::super::rpc;\n", "services/order/src/ops/place.rs:1: layers:");
    wrong(
        "services/order/src/ops.rs",
        "use crate::{error::Error, rpc::Api};\n",
        "services/order/src/ops.rs:1: layers: `crate::rpc::Api`",
    );
    wrong("services/order/src/rpc.rs", "use crate::follow;\n", "services/order/src/rpc.rs:1: layers:");
    wrong("services/order/src/convert.rs", "use crate::store::Row;\n", "services/order/src/convert.rs:1: layers:");
    wrong(
        "services/order/src/follow.rs",
        "fn f() { x!(crate::app::Application) }\n",
        "services/order/src/follow.rs:1: layers:",
    );
    wrong("services/order/src/store.rs", "use tonic::Code;\n", "services/order/src/store.rs:1: layers: `tonic::Code`");
    wrong(
        "services/order/src/rpc.rs",
        "use sqlx::{PgPool, PgConnection};\n",
        "services/order/src/rpc.rs:1: layers: `sqlx::PgConnection`",
    );
}

#[test]
fn sql_stays_in_the_store() {
    let wrong = |path: &str, code: &str| {
        let tree = Tree::clean();
        tree.write(path, code);
        tree.breaks(&format!("{path}:1: sql:"));
    };
    wrong("services/order/src/ops.rs", "async fn f() { sqlx::query(\"select 1\").execute(c).await; }\n");
    wrong("services/order/src/follow.rs", "use sqlx::query_as;\n");
    wrong("services/order/src/app.rs", "fn f() { sqlx::query_scalar!(\"select 1\"); }\n");
    wrong("services/order/src/ops.rs", "fn f(c: C) { c.execute(\"delete from t\"); }\n");
}

#[test]
fn statuses_are_made_at_the_edge() {
    let tree = Tree::clean();
    tree.write("services/order/src/ops.rs", "use tonic::{Code, Status};\n");
    tree.breaks("services/order/src/ops.rs:1: status: `tonic::Status`");
}

#[test]
fn nouns_are_pure() {
    let wrong = |code: &str| {
        let tree = Tree::clean();
        tree.write("services/order/src/order.rs", code);
        tree.breaks("services/order/src/order.rs:1: pure-nouns:");
    };
    wrong("use sqlx::PgPool;\n");
    wrong("fn f(code: tonic::Code) {}\n");
    wrong("use tokio::time::Instant;\n");
    wrong("async fn f() {}\n");
    wrong("fn f() { let later = async { 1 }; }\n");
}

#[test]
fn every_service_has_every_room() {
    let folder = "services/billing";
    for room in ["config", "app", "convert", "store", "follow"] {
        let tree = Tree::clean();
        tree.remove(&format!("{folder}/src/{room}.rs"));
        tree.breaks(&format!("{folder}/src/{room}.rs:1: rooms: missing"));
    }
    for room in ["migrations", "tests"] {
        let tree = Tree::clean();
        tree.remove_all(&format!("{folder}/{room}"));
        tree.breaks(&format!("{folder}/{room}:1: rooms: missing"));
    }
    let tree = Tree::clean();
    tree.write("services/order/src/lib.rs", "mod order;\n");
    tree.breaks("services/order/src/lib.rs:1: rooms: declares no MIGRATOR");
    let tree = Tree::clean();
    tree.write("services/order/src/main.rs", &"fn main() {}\n".repeat(60));
    tree.breaks("services/order/src/main.rs:1: rooms: 60 lines");
    let tree = Tree::clean();
    tree.remove_all("services/analytics");
    tree.breaks("services/analytics:1: rooms: this service is missing");
}

#[test]
fn a_room_may_be_a_folder() {
    let tree = Tree::clean();
    tree.remove("services/order/src/store.rs");
    tree.write("services/order/src/store/stock.rs", "fn f() { sqlx::query(\"select 1\") }\n");
    assert_eq!(tree.broken(), Vec::<String>::new());
}

#[test]
fn errors_are_mapped_one_by_one() {
    let wrong = |arm: &str| {
        let tree = Tree::clean();
        let code =
            format!("enum Error {{ A, B }}\nfn f(e: Error) {{ match e {{\n Error::A => 1,\n {arm} => 2 }}; }}\n");
        tree.write("services/order/src/error.rs", &code);
        tree.breaks("services/order/src/error.rs:4: exhaustive-errors:");
    };
    wrong("_");
    wrong("other");
    let tree = Tree::clean();
    tree.write("services/order/src/error.rs", "enum Error { A }\nfn f(s: &str) { match s { \"x\" => 1, _ => 2 }; }\n");
    assert_eq!(tree.broken(), Vec::<String>::new());
}

#[test]
fn long_files_are_split() {
    let tree = Tree::clean();
    tree.write("services/order/src/order.rs", &"// line\n".repeat(501));
    tree.breaks("services/order/src/order.rs:1: size: 501 lines");
    tree.write("services/order/src/order.rs", &"// line\n".repeat(500));
    assert_eq!(tree.broken(), Vec::<String>::new());
}

#[test]
fn services_define_no_macros() {
    let tree = Tree::clean();
    tree.write("services/order/src/ops.rs", "macro_rules! m { () => {} }\n");
    tree.breaks("services/order/src/ops.rs:1: macros:");
}

#[test]
fn no_call_is_made_inside_a_transaction() {
    let body = |parameters: &str, call: &str| {
        format!("async fn f({parameters}) {{\n let mut tx = pool.begin().await?;\n {call}\n tx.commit().await?;\n}}\n")
    };
    let wrong = |code: &str| {
        let tree = Tree::clean();
        tree.write("services/order/src/ops.rs", code);
        tree.breaks("services/order/src/ops.rs:3: transactions:");
    };
    wrong(&body("inventory: InventoryServiceClient<Channel>", "inventory.reserve(request).await?;"));
    wrong(&body("channel: Channel", "let r = InventoryServiceClient::new(channel).reserve(request).await?;"));
    wrong(&body("peers: &Peers", "let reply = peers.stock_client.reserve(request).await?;"));
    let field = "struct Peers { inventory: InventoryServiceClient<Channel> }\n";
    let tree = Tree::clean();
    tree.write(
        "services/order/src/ops.rs",
        &body("p: &Peers", "let mut i = p.inventory.clone(); i.reserve(x).await?;"),
    );
    tree.write("services/order/src/app.rs", field);
    tree.breaks("services/order/src/ops.rs:3: transactions:");
}

#[test]
fn calls_before_and_after_a_transaction_are_fine() {
    let tree = Tree::clean();
    let code = "async fn f(inventory: InventoryServiceClient<Channel>) {\n\
                let first = inventory.reserve(x).await?;\n\
                let mut tx = pool.begin().await?;\n\
                store::write(&mut tx, first).await?;\n\
                tx.commit().await?;\n\
                inventory.release(x).await?;\n\
                let mut tx = pool.begin().await?;\n\
                tx.commit().await?;\n}\n";
    tree.write("services/order/src/ops.rs", code);
    assert_eq!(tree.broken(), Vec::<String>::new());
}

#[test]
fn migrations_are_numbered_without_gaps() {
    let wrong = |name: &str| {
        let tree = Tree::clean();
        tree.write(&format!("services/order/migrations/{name}"), "select 1;\n");
        tree.breaks(&format!("services/order/migrations/{name}:1: migrations: expected 0002_"));
    };
    wrong("0003_gap.sql");
    wrong("0002-Dash.sql");
    wrong("02_short.sql");
}

#[test]
fn migrations_stay_in_their_schema() {
    let wrong = |sql: &str, place: &str| {
        let tree = Tree::clean();
        tree.write("services/order/migrations/0001_init.sql", sql);
        tree.breaks(&format!("services/order/migrations/0001_init.sql:{place}"));
    };
    wrong("-- why\nset search_path = x;\n", "2: migrations: the host sets the search_path");
    wrong("select * from billing.invoice;\n", "1: migrations: names the schema of billing");
    wrong("select * from \"inventory\".stock;\n", "1: migrations: names the schema of inventory");
    let tree = Tree::clean();
    let fine =
        "-- not billing.invoice\ncreate table order_billing (x text check (x <> 'billing.x')); select rebilling.y;\n";
    tree.write("services/order/migrations/0001_init.sql", fine);
    assert_eq!(tree.broken(), Vec::<String>::new());
}

#[test]
fn sizes_are_told_per_crate() {
    let tree = Tree::clean();
    tree.write("shared/host/src/lib.rs", &"// line\n".repeat(301));
    let (workspace, _) = house_lint::check(tree.root()).expect("readable");
    let sizes = house_lint::sizes::measure(&workspace).expect("readable");
    assert!(sizes.table().contains("     301  pesan-host\n"), "{}", sizes.table());
    assert_eq!(sizes.to_look_at().count(), 1);
}
