-- Credits of returns and goodwill.
alter table document
    -- A credit note that takes off a price: no goods came back.
    add column allowance boolean not null default false
        constraint document_allowance_is_a_credit_note check (not allowance or (kind = 'credit_note' and order_id is not null));

-- Lines of allowances have no quantity.
alter table document_line
    drop constraint document_line_quantity_positive,
    add constraint document_line_quantity_not_negative check (quantity >= 0);

alter table posting_pair
    drop constraint posting_pair_accounts_known,
    add constraint posting_pair_accounts_known check (
        debit in ('receivables', 'provider_clearing', 'bank', 'inventory', 'revenue', 'sales_returns', 'sales_allowances',
                  'tax', 'cost_of_goods')
        and credit in ('receivables', 'provider_clearing', 'bank', 'inventory', 'revenue', 'sales_returns',
                       'sales_allowances', 'tax', 'cost_of_goods'));

drop trigger document_is_final on document;
create trigger document_is_final before update of id, kind, series, number, order_id, customer_id, on_account, currency,
    net, tax, line_count, issued_at, due_at, reference, allowance or delete or truncate on document
    for each statement execute function refuse_change();
