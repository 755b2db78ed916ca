//! The invariants of billing, as queries that find what breaks them.

use sqlx::{PgConnection, Row as _};
use time::OffsetDateTime;

/// One invariant: its name, how many rows it looks at, and what breaks it as (id, what), at most 100.
pub struct Invariant {
    pub name: &'static str,
    rows: &'static str,
    violations: &'static str,
}

/// All that need no more than the tables.
pub const INVARIANTS: &[Invariant] = &[
    // Pairs balance by construction; a posting without pairs, or pairs without a posting, would say nothing.
    Invariant {
        name: "ledger_balanced_per_posting",
        rows: "select count(*) from posting",
        violations: "
            select coalesce(p.id, e.posting_id)::text,
                   case when p.id is null then 'pairs without a posting'
                        when e.posting_id is null then 'a posting without pairs'
                        else format('debits %s, credits %s, smallest amount %s', e.debits, e.credits, e.least) end
              from posting p
              full join (select posting_id, min(amount) as least,
                                coalesce(sum(amount) filter (where debit is not null), 0) as debits,
                                coalesce(sum(amount) filter (where credit is not null), 0) as credits
                           from posting_pair group by posting_id) e on e.posting_id = p.id
             where p.id is null or e.posting_id is null or e.debits <> e.credits or e.least <= 0
             limit 100",
    },
    Invariant {
        name: "ledger_balanced_in_total",
        rows: "select count(*) from posting_pair",
        violations: "
            select currency, format('debits %s, credits %s', debits, credits)
              from (select p.currency,
                           coalesce(sum(e.amount) filter (where e.debit is not null), 0) as debits,
                           coalesce(sum(e.amount) filter (where e.credit is not null), 0) as credits
                      from posting p join posting_pair e on e.posting_id = p.id group by p.currency) t
             where debits <> credits
             limit 100",
    },
    Invariant {
        name: "documents_gap_free",
        rows: "select count(*) from document",
        violations: "
            select series, format('%s documents numbered %s to %s, the counter stands at %s', n, lowest, highest, last)
              from (select series, count(*) as n, min(number) as lowest, max(number) as highest
                      from document group by series) d
              full join document_series s using (series)
             where coalesce(n, 0) <> coalesce(last, 0) or (n > 0 and (lowest <> 1 or highest <> n))
             limit 100",
    },
    Invariant {
        name: "documents_match_lines",
        rows: "select count(*) from document_line",
        violations: "
            select coalesce(d.id, l.document_id)::text,
                   format('net %s, tax %s, %s lines; its lines: net %s, tax %s, %s lines',
                          d.net, d.tax, d.line_count, l.net, l.tax, l.n)
              from document d
              full join (select document_id, count(*) as n, sum(net) as net, sum(tax) as tax
                           from document_line group by document_id) l on l.document_id = d.id
             where d.id is null or d.net <> coalesce(l.net, 0) or d.tax <> coalesce(l.tax, 0)
                or d.line_count <> coalesce(l.n, 0)
             limit 100",
    },
    Invariant {
        name: "documents_are_posted",
        rows: "select count(*) from document",
        violations: "
            select coalesce(d.id, p.reference)::text,
                   format('%s over %s, posted %s times over %s', d.kind, d.net + d.tax, coalesce(p.n, 0), coalesce(p.amount, 0))
              from document d
              full join (select p.reference, count(distinct p.id) as n, sum(e.amount) as amount
                           from posting p join posting_pair e on e.posting_id = p.id
                          where p.cause in ('invoice', 'credit_note') group by p.reference) p on p.reference = d.id
             where d.id is null or d.net + d.tax <> coalesce(p.amount, 0) or coalesce(p.n, 0) > 1
             limit 100",
    },
    // What accounts owe is what is open of their documents; what the ledger says is owed is what is open of all documents.
    Invariant {
        name: "receivables_match_documents",
        rows: "select (select count(*) from account) + (select count(*) from document)",
        violations: "
            (select coalesce(a.customer_id, d.customer_id)::text,
                    format('the account says %s, its documents %s', a.receivable, coalesce(d.open, 0))
               from account a
               full join (select customer_id, sum(case kind when 'invoice' then open else -open end) as open
                            from document where on_account group by customer_id) d using (customer_id)
              where a.customer_id is null or a.receivable <> coalesce(d.open, 0)
              limit 99)
            union all
            (select coalesce(l.currency, d.currency),
                    format('the ledger says %s, the documents %s', coalesce(l.owed, 0), coalesce(d.open, 0))
               from (select p.currency,
                            coalesce(sum(e.amount) filter (where e.debit = 'receivables'), 0)
                            - coalesce(sum(e.amount) filter (where e.credit = 'receivables'), 0) as owed
                       from posting p join posting_pair e on e.posting_id = p.id group by p.currency) l
               full join (select currency, sum(case kind when 'invoice' then open else -open end) as open
                            from document group by currency) d using (currency)
              where coalesce(l.owed, 0) <> coalesce(d.open, 0)
              limit 1)",
    },
    Invariant {
        name: "authorisations_match_charges",
        rows: "select count(*) from charge",
        violations: "
            select coalesce(a.customer_id, c.customer_id)::text,
                   format('the account says %s, its charges %s', a.authorised, coalesce(c.authorised, 0))
              from account a
              full join (select customer_id, sum(amount - voided - invoiced) as authorised
                           from charge where method = 'on_account' and state = 'authorised' group by customer_id) c
                   using (customer_id)
             where a.customer_id is null or a.authorised <> coalesce(c.authorised, 0)
             limit 100",
    },
    Invariant {
        name: "charges_match_documents",
        rows: "select (select count(*) from charge) + (select count(*) from charge_line)",
        violations: "
            (select coalesce(c.order_number, d.order_id::text),
                    format('the charge says invoiced %s, credited %s; the documents %s and %s',
                           c.invoiced, c.credited, coalesce(d.invoiced, 0), coalesce(d.credited, 0))
               from charge c
               full join (select order_id,
                                 coalesce(sum(net + tax) filter (where kind = 'invoice'), 0) as invoiced,
                                 coalesce(sum(net + tax) filter (where kind = 'credit_note'), 0) as credited
                            from document where order_id is not null group by order_id) d using (order_id)
              where c.order_id is null or c.invoiced <> coalesce(d.invoiced, 0) or c.credited <> coalesce(d.credited, 0)
              limit 50)
            union all
            (select format('%s line %s', coalesce(l.order_id, d.order_id), coalesce(l.line_no, d.line_no)),
                    format('the line says invoiced %s, credited %s; the documents %s and %s',
                           l.invoiced, l.credited, coalesce(d.invoiced, 0), coalesce(d.credited, 0))
               from charge_line l
               full join (select d.order_id, i.line_no,
                                 coalesce(sum(i.quantity) filter (where d.kind = 'invoice'), 0) as invoiced,
                                 coalesce(sum(i.quantity) filter (where d.kind = 'credit_note'), 0) as credited
                            from document d join document_line i on i.document_id = d.id
                           where d.order_id is not null group by d.order_id, i.line_no) d
                    on d.order_id = l.order_id and d.line_no = l.line_no
              where l.order_id is null or l.invoiced <> coalesce(d.invoiced, 0) or l.credited <> coalesce(d.credited, 0)
              limit 50)",
    },
    Invariant {
        name: "payments_match_applications",
        rows: "select count(*) from payment",
        violations: "
            select p.id::text, format('a payment of %s, applied %s', p.amount, coalesce(a.amount, 0))
              from payment p
              left join (select payment_id, sum(amount) as amount from payment_application group by payment_id) a
                   on a.payment_id = p.id
             where p.amount <> coalesce(a.amount, 0)
             limit 100",
    },
    // An order is looked at when nothing of it is on its way; what is on its way for too long is told by
    // provider_jobs_settled. What was held for an earlier promise, and let go entirely, does not count.
    Invariant {
        name: "one_charge_per_order_in_provider_book",
        rows: "select count(*) from charge where method = 'provider'",
        violations: "
            with held as (
                select b.order_id, count(*) as n, sum(b.amount) as amount, sum(b.voided) as voided,
                       sum(b.captured) as captured, sum(b.refunded) as refunded
                  from provider_book_authorisation b left join charge c using (order_id)
                 where b.approved and (b.voided < b.amount or b.reference = c.provider_reference)
                 group by b.order_id
            )
            select coalesce(c.order_number, b.order_id::text),
                   case when c.order_id is null then 'held at the provider and not here'
                        when b.order_id is null then 'held here and not at the provider'
                        when b.n <> 1 then format('held %s times at the provider', b.n)
                        else format('authorised %s, voided %s, captured %s, refunded %s; at the provider %s, %s, %s, %s',
                                    c.amount, c.voided, c.captured, c.refunded, b.amount, b.voided, b.captured, b.refunded)
                   end
              from (select * from charge
                     where method = 'provider' and state = 'authorised' and (amount > 0 or provider_reference is not null)) c
              full join held b using (order_id)
             where (c.order_id is null or b.order_id is null or b.n <> 1
                    or (c.amount, c.voided, c.captured, c.refunded) <> (b.amount, b.voided, b.captured, b.refunded))
               and not exists (select 1 from provider_job j
                                where j.order_id = coalesce(c.order_id, b.order_id) and j.state = 'open')
               and not exists (select 1 from charge p where p.order_id = b.order_id and p.state = 'pending')
             limit 100",
    },
    Invariant {
        name: "versions_match_events",
        rows: "select (select count(*) from charge) + (select count(*) from account where events > 0)",
        violations: "
            select coalesce(v.id, e.aggregate_id)::text,
                   format('version %s, last event %s', coalesce(v.version, 0), coalesce(e.version, 0))
              from (select order_id as id, version from charge
                    union all select customer_id, events from account
                    union all select id, 1 from document where order_id is null) v
              full join (select aggregate_id, max(version) as version from outbox group by aggregate_id) e
                   on e.aggregate_id = v.id
             where coalesce(v.version, 0) <> coalesce(e.version, 0)
             limit 100",
    },
];

/// Looks at one invariant: rows looked at, and what breaks it.
pub async fn check(conn: &mut PgConnection, invariant: &Invariant) -> sqlx::Result<(i64, Vec<(String, String)>)> {
    let rows: i64 = sqlx::query_scalar(invariant.rows).fetch_one(&mut *conn).await?;
    let violations = sqlx::query_as(invariant.violations).fetch_all(conn).await?;
    Ok((rows, violations))
}

/// What the provider was to do and failed at, or has not done since `before`; and what it was asked and has not answered.
pub async fn unsettled(conn: &mut PgConnection, before: OffsetDateTime) -> sqlx::Result<(i64, Vec<(String, String)>)> {
    let rows = sqlx::query_scalar(
        "select (select count(*) from provider_job) + (select count(*) from charge where method = 'provider')",
    )
    .fetch_one(&mut *conn)
    .await?;
    let found = sqlx::query(
        "(select id::text, format('%s of %s %s for order %s is %s after %s attempts: %s', kind, amount, currency, order_id,
                                  state, attempts, coalesce(last_error, 'no answer yet'))
            from provider_job where state = 'failed' or (state = 'open' and created_at < $1) limit 50)
         union all
         (select order_id::text, format('asked the provider for %s %s and had no answer', amount, currency)
            from charge where state = 'pending' and asked_at < $1 limit 50)",
    )
    .bind(before)
    .fetch_all(conn)
    .await?;
    let violations = found.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).collect::<sqlx::Result<_>>()?;
    Ok((rows, violations))
}
