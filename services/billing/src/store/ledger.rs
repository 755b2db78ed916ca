//! Postings, which are only ever added.

use crate::ledger::{Cause, LedgerAccount, Pair, Posting, TrialBalanceRow};
use crate::store::{currency, unknown};
use rust_decimal::Decimal;
use sqlx::{PgConnection, Row as _};
use std::collections::HashMap;
use time::OffsetDateTime;
use uuid::Uuid;

fn account_word(account: LedgerAccount) -> &'static str {
    match account {
        LedgerAccount::Receivables => "receivables",
        LedgerAccount::ProviderClearing => "provider_clearing",
        LedgerAccount::Bank => "bank",
        LedgerAccount::Inventory => "inventory",
        LedgerAccount::Revenue => "revenue",
        LedgerAccount::SalesReturns => "sales_returns",
        LedgerAccount::SalesAllowances => "sales_allowances",
        LedgerAccount::Tax => "tax",
        LedgerAccount::CostOfGoods => "cost_of_goods",
    }
}

fn account(word: &str) -> sqlx::Result<LedgerAccount> {
    Ok(match word {
        "receivables" => LedgerAccount::Receivables,
        "provider_clearing" => LedgerAccount::ProviderClearing,
        "bank" => LedgerAccount::Bank,
        "inventory" => LedgerAccount::Inventory,
        "revenue" => LedgerAccount::Revenue,
        "sales_returns" => LedgerAccount::SalesReturns,
        "sales_allowances" => LedgerAccount::SalesAllowances,
        "tax" => LedgerAccount::Tax,
        "cost_of_goods" => LedgerAccount::CostOfGoods,
        word => return Err(unknown(word)),
    })
}

fn cause_word(cause: Cause) -> &'static str {
    match cause {
        Cause::Invoice => "invoice",
        Cause::Capture => "capture",
        Cause::Payment => "payment",
        Cause::CreditNote => "credit_note",
        Cause::Refund => "refund",
        Cause::CostOfGoods => "cost_of_goods",
        Cause::CostOfReturn => "cost_of_return",
    }
}

fn cause(word: &str) -> sqlx::Result<Cause> {
    Ok(match word {
        "invoice" => Cause::Invoice,
        "capture" => Cause::Capture,
        "payment" => Cause::Payment,
        "credit_note" => Cause::CreditNote,
        "refund" => Cause::Refund,
        "cost_of_goods" => Cause::CostOfGoods,
        "cost_of_return" => Cause::CostOfReturn,
        word => return Err(unknown(word)),
    })
}

/// Writes postings and their pairs, in one statement: neither is ever there without the other.
pub async fn add(conn: &mut PgConnection, postings: &[Posting]) -> sqlx::Result<()> {
    if postings.is_empty() {
        return Ok(());
    }
    let ids: Vec<Uuid> = postings.iter().map(|p| p.id).collect();
    let causes: Vec<&str> = postings.iter().map(|p| cause_word(p.cause)).collect();
    let references: Vec<Uuid> = postings.iter().map(|p| p.reference).collect();
    let currencies: Vec<&str> = postings.iter().map(|p| p.currency.code()).collect();
    let effective: Vec<OffsetDateTime> = postings.iter().map(|p| p.effective_at).collect();
    let recorded: Vec<OffsetDateTime> = postings.iter().map(|p| p.recorded_at).collect();
    let pairs = || postings.iter().flat_map(|p| (1i16..).zip(&p.pairs).map(move |(place, pair)| (p.id, place, pair)));
    let pair_ids: Vec<Uuid> = pairs().map(|p| p.0).collect();
    let places: Vec<i16> = pairs().map(|p| p.1).collect();
    let debits: Vec<&str> = pairs().map(|p| account_word(p.2.debit)).collect();
    let credits: Vec<&str> = pairs().map(|p| account_word(p.2.credit)).collect();
    let amounts: Vec<Decimal> = pairs().map(|p| p.2.amount).collect();
    sqlx::query(
        "with heads as (
             insert into posting (id, cause, reference, currency, effective_at, recorded_at)
             select * from unnest($1::uuid[], $2::text[], $3::uuid[], $4::text[], $5::timestamptz[], $6::timestamptz[])
         )
         insert into posting_pair (posting_id, place, debit, credit, amount)
         select * from unnest($7::uuid[], $8::int2[], $9::text[], $10::text[], $11::numeric[])",
    )
    .bind(&ids)
    .bind(&causes)
    .bind(&references)
    .bind(&currencies)
    .bind(&effective)
    .bind(&recorded)
    .bind(&pair_ids)
    .bind(&places)
    .bind(&debits)
    .bind(&credits)
    .bind(&amounts)
    .execute(conn)
    .await?;
    Ok(())
}

/// Up to `limit` postings after `after`, ascending by time of recording; all, or those with this reference.
pub async fn list(
    conn: &mut PgConnection,
    after: Uuid,
    reference: Option<Uuid>,
    limit: i64,
) -> sqlx::Result<Vec<Posting>> {
    let query = match reference {
        None => sqlx::query("select * from posting where id > $1 order by id limit $2").bind(after).bind(limit),
        Some(reference) => sqlx::query("select * from posting where id > $1 and reference = $3 order by id limit $2")
            .bind(after)
            .bind(limit)
            .bind(reference),
    };
    let rows = query.fetch_all(&mut *conn).await?;
    let mut postings = Vec::with_capacity(rows.len());
    let mut place = HashMap::with_capacity(rows.len());
    for row in &rows {
        let id: Uuid = row.try_get("id")?;
        place.insert(id, postings.len());
        postings.push(Posting {
            id,
            cause: cause(row.try_get("cause")?)?,
            reference: row.try_get("reference")?,
            currency: currency(row, "currency")?,
            pairs: Vec::new(),
            effective_at: row.try_get("effective_at")?,
            recorded_at: row.try_get("recorded_at")?,
        });
    }
    let ids: Vec<Uuid> = postings.iter().map(|p| p.id).collect();
    let rows = sqlx::query(
        "select posting_id, debit, credit, amount from posting_pair where posting_id = any($1) order by posting_id, place",
    )
    .bind(&ids)
    .fetch_all(conn)
    .await?;
    for row in &rows {
        let Some(place) = place.get(&row.try_get(0)?) else { continue };
        let (debit, credit) = (account(row.try_get(1)?)?, account(row.try_get(2)?)?);
        postings[*place].pairs.push(Pair { debit, credit, amount: row.try_get(3)? });
    }
    Ok(postings)
}

/// Debits and credits by account and currency over [from, to) of effective time.
pub async fn trial_balance(
    conn: &mut PgConnection,
    from: Option<OffsetDateTime>,
    to: Option<OffsetDateTime>,
) -> sqlx::Result<Vec<TrialBalanceRow>> {
    let rows = sqlx::query(
        "with moved as (
             select p.currency, e.debit, e.credit, sum(e.amount) as amount
               from posting p join posting_pair e on e.posting_id = p.id
              where p.effective_at >= coalesce($1, '-infinity') and p.effective_at < coalesce($2, 'infinity')
              group by 1, 2, 3
         )
         select account, currency, sum(debit) as debit, sum(credit) as credit
           from (select debit as account, currency, amount as debit, 0 as credit from moved
                 union all
                 select credit, currency, 0, amount from moved) sides
          group by account, currency
          order by account, currency",
    )
    .bind(from)
    .bind(to)
    .fetch_all(conn)
    .await?;
    rows.iter()
        .map(|row| {
            Ok(TrialBalanceRow {
                account: account(row.try_get("account")?)?,
                currency: currency(row, "currency")?,
                debit: row.try_get("debit")?,
                credit: row.try_get("credit")?,
            })
        })
        .collect()
}
