//! A role and a schema of its own for each service.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail};
use sqlx::postgres::PgConnection;
use sqlx::{Connection, Error};

use super::cluster::Cluster;
use super::secret;

const DATABASE: &str = "pesan";
/// Postgres: `invalid_catalog_name`, no such database.
const NO_SUCH_DATABASE: &str = "3D000";

/// Prepares the database for `services` (`order`, `inventory`…) and returns the URL for each. Service `order` gets
/// the role `pesan_order`, which owns the schema `pesan_order`, finds its tables there, and can enter nothing else.
///
/// May be called again at any time; it also repairs what was lost, a password file say.
pub async fn provision(cluster: &Cluster, services: &[&str]) -> Result<BTreeMap<String, String>> {
    let mut urls = BTreeMap::new();
    let mut roles = Vec::new();
    let mut passwords = Vec::new();
    for service in services {
        if service.is_empty() || !service.bytes().all(|byte| byte.is_ascii_lowercase()) {
            bail!("a service has a name of small letters, not {service:?}");
        }
        let role = format!("pesan_{service}");
        let password = secret::read_or_create(&cluster.secrets(), &role)?.value;
        urls.insert((*service).to_owned(), cluster.url(&role, &password, DATABASE));
        roles.push(role);
        passwords.push(password);
    }
    let mut connection = connect(cluster).await.context("cannot reach the private Postgres")?;
    let provisioned = write(&mut connection, &roles, &passwords).await;
    connection.close().await?;
    provisioned.context("cannot prepare the database for the services")?;
    Ok(urls)
}

/// To the database of the suite, which is created if need be.
async fn connect(cluster: &Cluster) -> Result<PgConnection, Error> {
    let url = cluster.admin_url_of(DATABASE);
    match PgConnection::connect(&url).await {
        Err(Error::Database(error)) if error.code().as_deref() == Some(NO_SUCH_DATABASE) => {
            let mut admin = PgConnection::connect(&cluster.admin_url()).await?;
            sqlx::query("create database pesan").execute(&mut admin).await?;
            admin.close().await?;
            PgConnection::connect(&url).await
        }
        outcome => outcome,
    }
}

async fn write(connection: &mut PgConnection, roles: &[String], passwords: &[String]) -> Result<(), Error> {
    let mut transaction = connection.begin().await?;
    // Everybody may enter every database, and use `public`, unless told otherwise.
    sqlx::query("revoke all on database pesan, postgres, template1 from public").execute(&mut *transaction).await?;
    sqlx::query("revoke all on schema public from public").execute(&mut *transaction).await?;
    sqlx::query(include_str!("provision.sql")).execute(&mut *transaction).await?;
    sqlx::query("select pg_temp.provision(role, password) from unnest($1::text[], $2::text[]) as of (role, password)")
        .bind(roles)
        .bind(passwords)
        .execute(&mut *transaction)
        .await?;
    transaction.commit().await
}
