//! Accounts.

use super::{amount, money};
use crate::account::Account;
use crate::error::Error;
use pesan_api::billing::v1 as pb;
use pesan_api::r#type::v1::Problem;
use pesan_grpc::Violations;
use pesan_money::Money;
use rust_decimal::Decimal;

/// Accounts of a request of up to 1,000, each by itself: what is wanted, or what is wrong with it.
pub fn parse_accounts(request: pb::UpsertAccountsRequest) -> Result<Vec<Result<Account, Problem>>, Error> {
    let mut violations = Violations::new();
    violations.within("accounts", request.accounts.len(), 0, 1000);
    let accounts = request.accounts.into_iter().map(|a| parse(&a).map_err(Violations::into_problem)).collect();
    violations.into_result(accounts).map_err(Error::Invalid)
}

fn parse(account: &pb::Account) -> Result<Account, Violations> {
    let mut v = Violations::new();
    let customer_id = v.uuid("customer_id", &account.customer_id);
    let currency = v.currency("currency_code", &account.currency_code);
    v.within("payment_terms_days", account.payment_terms_days, 0, 365);
    let Some(currency) = currency else { return Err(v) };
    let limit = account.credit_limit.as_ref().map(|limit| v.amount_or_zero("credit_limit", Some(limit), currency));
    v.into_result(Account {
        customer_id,
        currency,
        credit_limit: limit,
        payment_terms_days: account.payment_terms_days,
        receivable: Decimal::ZERO,
        authorised: Decimal::ZERO,
        version: 0,
        events: 0,
    })
}

/// An account as its proto form.
pub fn account(account: &Account) -> Result<pb::Account, Error> {
    Ok(pb::Account {
        customer_id: account.customer_id.to_string(),
        currency_code: account.currency.code().to_owned(),
        credit_limit: match account.credit_limit {
            Some(limit) => money(Money::new(account.currency, limit))?,
            None => None,
        },
        payment_terms_days: account.payment_terms_days,
        receivable: amount(account.currency, account.receivable)?,
        authorised: amount(account.currency, account.authorised)?,
        version: account.version,
    })
}
