-- Picking settles every unit: picked, short, or withdrawn before. A count may find it short before that.
alter table fulfilment_order drop constraint fulfilment_order_picked_whole;
alter table fulfilment_order add constraint fulfilment_order_picked_whole check (
    case when picked_at is null then picked = 0 else withdrawn + short + picked = allocated end);
