//! Credit notes that belong to no order.

use crate::account::Change;
use crate::convert::{self, CreditCause};
use crate::document::{self, Document, Kind};
use crate::error::{Error, Refusal};
use crate::payment::NewNote;
use crate::{ops, store};
use pesan_feed::NewEvent;
use sqlx::PgPool;
use std::collections::{BTreeMap, HashMap, HashSet};
use time::OffsetDateTime;
use uuid::Uuid;

/// A note, and whether it was there before.
pub type Issued = Result<(Document, bool), Refusal>;

/// Issues notes, each by itself; one result for each, in order. A customer with an account is credited there; for others
/// the note is what says that we owe them.
pub async fn issue(pool: &PgPool, notes: &[NewNote], now: OffsetDateTime) -> Result<Vec<Issued>, Error> {
    let mut seen = HashSet::new();
    let fresh: Vec<(Uuid, &NewNote)> =
        notes.iter().filter(|note| seen.insert(&note.external_id)).map(|note| (Uuid::now_v7(), note)).collect();
    let mut tx = pool.begin().await?;
    let claimed = store::payment::claim_notes(&mut tx, &fresh).await?;
    let mine: Vec<&(Uuid, &NewNote)> = fresh.iter().filter(|(_, note)| claimed.contains(&note.external_id)).collect();
    let customers: Vec<Uuid> = mine.iter().filter_map(|(_, note)| note.customer_id).collect();
    let accounts = store::account::lock(&mut tx, &customers).await?;

    let mut refused: HashMap<&str, Refusal> = HashMap::new();
    let mut changes: BTreeMap<Uuid, Change> = BTreeMap::new();
    let (mut documents, mut sources) = (Vec::new(), Vec::new());
    for (id, note) in mine {
        let account = note.customer_id.and_then(|customer| accounts.get(&customer));
        if let Some(account) = account.filter(|account| account.currency != note.currency) {
            let description = format!("must be {}, the account's", account.currency);
            refused.insert(&note.external_id, Refusal::Invalid { field: "currency_code", description });
            continue;
        }
        let document = document_of(*id, note, account.is_some());
        if let Some(account) = account {
            changes.entry(account.customer_id).or_default().receivable -= document.total();
        }
        documents.push(document);
        sources.push(*note);
    }
    store::payment::unclaim_notes(&mut tx, &refused.keys().copied().collect::<Vec<_>>()).await?;
    store::account::change(&mut tx, &changes).await?;
    let documents = ops::issue::documents(&mut tx, documents, now).await?;
    let mut events = Vec::with_capacity(documents.len());
    for (document, note) in documents.iter().zip(sources) {
        let fact =
            convert::credit_note_issued(document, &CreditCause::Alone, &note.reason, &note.country, &note.channel)?;
        events.push(NewEvent::new(document.id, 1, &fact, document.issued_at));
    }
    pesan_feed::append(&mut tx, &events).await?;

    let new: HashMap<String, Document> = documents.into_iter().map(|d| (d.reference.clone(), d)).collect();
    let known: Vec<&str> =
        seen.into_iter().map(String::as_str).filter(|id| !new.contains_key(*id) && !refused.contains_key(id)).collect();
    let ids: Vec<Uuid> = store::payment::notes(&mut tx, &known).await?.into_values().collect();
    let known = store::document::by_ids(&mut tx, &ids).await?;
    let known: HashMap<String, Document> = known.into_iter().map(|d| (d.reference.clone(), d)).collect();
    tx.commit().await?;

    let mut first = HashSet::new();
    notes
        .iter()
        .map(|note| {
            let id = note.external_id.as_str();
            match (refused.get(id), new.get(id), known.get(id)) {
                (Some(refusal), ..) => Ok(Err(refusal.clone())),
                (_, Some(document), _) => Ok(Ok((document.clone(), !first.insert(id)))),
                (.., Some(document)) => Ok(Ok((document.clone(), true))),
                (None, None, None) => Err(Error::DocumentNotFound(id.to_owned())),
            }
        })
        .collect()
}

fn document_of(id: Uuid, note: &NewNote, on_account: bool) -> Document {
    let sum = document::sum(&note.lines);
    Document {
        id,
        kind: Kind::CreditNote,
        series: document::series(Kind::CreditNote, note.effective_at),
        number: 0,
        order_id: None,
        customer_id: note.customer_id,
        on_account,
        currency: note.currency,
        lines: note.lines.clone(),
        net: sum.net,
        tax: sum.tax,
        open: sum.total(),
        issued_at: note.effective_at,
        due_at: note.effective_at,
        reference: note.external_id.clone(),
        allowance: false,
    }
}
