//! What Pesan promises, as plain bookkeeping in memory: one item's stock is a number, a line is a few numbers, money is the
//! slice of each single piece. Written from the documentation of the APIs, and slow and simple on purpose.

/// What an order does about what is not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policy {
    /// All of it, or it is rejected.
    AllOrNothing,
    /// What is there; the rest is cancelled. Nothing there: rejected.
    WhatIsThere,
    /// What is there; the rest waits.
    Backorder,
}

/// What became of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Promised.
    Confirmed,
    /// Refused as a whole.
    Rejected,
    /// A reservation whose order nobody ever placed.
    Bare,
    /// A bare reservation that lapsed.
    Lapsed,
}

/// What some pieces come to, in cents.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Amounts {
    /// Before discount and tax.
    pub line_total: i64,
    /// Off it.
    pub discount: i64,
    /// On top.
    pub tax: i64,
}

/// Net and tax, in cents: of one piece, or of a sum.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Slice {
    /// After discount.
    pub net: i64,
    /// On top.
    pub tax: i64,
}

/// A line that is to be ordered.
#[derive(Clone, Debug)]
pub struct Wish {
    /// Which of the history's items.
    pub sku: usize,
    /// Above 0.
    pub quantity: i64,
    /// Millionths of a euro for one piece.
    pub price: i64,
    /// Cents off the line.
    pub discount: i64,
    /// Cents on it.
    pub tax: i64,
}

impl Wish {
    fn amounts(&self) -> Amounts {
        Amounts { line_total: line_total(self.price, self.quantity), discount: self.discount, tax: self.tax }
    }
}

/// An order that is to be placed.
#[derive(Clone, Debug)]
pub struct NewOrder {
    /// What to do about shortages.
    pub policy: Policy,
    /// Shipped and delivered as soon as it is allocated.
    pub straight: bool,
    /// 0 to 9, lower first.
    pub priority: i32,
    /// Age in the queue: earlier first. No two orders of a history are of the same age.
    pub placed_at: i64,
    /// Paid through the provider, not on account.
    pub by_card: bool,
    /// The payment provider declines.
    pub declined: bool,
    /// What is wanted.
    pub lines: Vec<Wish>,
}

/// A line of an order.
#[derive(Clone, Debug)]
pub struct Line {
    pub sku: usize,
    pub price: i64,
    pub amounts: Amounts,
    pub ordered: i64,
    pub reserved: i64,
    pub backordered: i64,
    pub cancelled: i64,
    pub shipped: i64,
    pub returned: i64,
    /// What each piece comes to, from the first that leaves on; cancelled pieces are taken off the end.
    pub pieces: Vec<Slice>,
}

impl Line {
    fn new(wish: &Wish) -> Self {
        Self {
            sku: wish.sku,
            price: wish.price,
            amounts: wish.amounts(),
            ordered: wish.quantity,
            reserved: 0,
            backordered: 0,
            cancelled: 0,
            shipped: 0,
            returned: 0,
            pieces: Vec::new(),
        }
    }

    /// Has not left and is not cancelled.
    pub fn open(&self) -> i64 {
        self.reserved + self.backordered
    }

    /// Left and did not come back.
    pub fn out(&self) -> i64 {
        self.shipped - self.returned
    }

    /// What `quantity` of its pieces come to, at the amounts of the whole line.
    fn charge(&mut self) {
        let open = self.open();
        self.pieces = slices(part_of(self.amounts, open, self.ordered), open);
    }

    /// So many more of it, at its price; discount and tax in proportion.
    fn more(&self, quantity: i64) -> Self {
        let line_total = line_total(self.price, quantity);
        let share = |amount: i64| half_even(amount * quantity, self.ordered);
        let (discount, tax) = (share(self.amounts.discount).min(line_total), share(self.amounts.tax));
        Self::new(&Wish { sku: self.sku, quantity, price: self.price, discount, tax })
    }

    /// Another price for what has not left: the discount as it was, the tax in proportion, where they are not given.
    fn reprice(&mut self, price: i64, discount: Option<i64>, tax: Option<i64>) {
        let open = self.open();
        let mut old = part_of(self.amounts, open, self.ordered);
        old.discount = old.discount.min(old.line_total);
        let line_total = line_total(price, open);
        let discount = discount.unwrap_or(old.discount).min(line_total);
        let old_net = old.line_total - old.discount;
        let in_proportion = if old_net == 0 { 0 } else { half_even(old.tax * (line_total - discount), old_net) };
        let new = Amounts { line_total, discount, tax: tax.unwrap_or(in_proportion) };
        self.price = price;
        self.amounts.line_total += new.line_total - old.line_total;
        self.amounts.discount = (self.amounts.discount + new.discount - old.discount).min(self.amounts.line_total);
        self.amounts.tax += new.tax - old.tax;
        self.pieces.truncate(size(self.shipped));
        self.pieces.extend(slices(new, open));
    }

    /// What waits goes first, then what is reserved.
    fn cancel(&mut self, quantity: i64) {
        let waiting = quantity.min(self.backordered);
        self.backordered -= waiting;
        self.reserved -= quantity - waiting;
        self.cancelled += quantity;
        self.pieces.truncate(size(self.shipped + self.open()));
    }
}

/// One change of an order that is asked for. Lines count from 0.
#[derive(Clone, Debug)]
pub enum Edit {
    /// What the customer is to get of a line in all.
    Quantity { line: usize, quantity: i64 },
    /// What has not left of a line goes.
    Remove { line: usize },
    /// One more line.
    Add(Wish),
    /// Another price for what has not left of a line; discount and tax where they are given.
    Price { line: usize, price: i64, discount: Option<i64>, tax: Option<i64> },
    /// Goes elsewhere.
    Address,
    /// What has not left of all lines goes.
    Rest,
}

/// An order, or a bare reservation.
#[derive(Clone, Debug)]
pub struct Order {
    pub policy: Policy,
    pub straight: bool,
    pub priority: i32,
    pub placed_at: i64,
    pub fate: Fate,
    pub lines: Vec<Line>,
}

impl Order {
    /// Σ of its lines.
    pub fn amounts(&self) -> Amounts {
        self.lines.iter().fold(Amounts::default(), |sum, line| Amounts {
            line_total: sum.line_total + line.amounts.line_total,
            discount: sum.discount + line.amounts.discount,
            tax: sum.tax + line.amounts.tax,
        })
    }

    /// Every piece that left is invoiced at its slice.
    pub fn invoiced(&self) -> Slice {
        sum(self.lines.iter().flat_map(|line| &line.pieces[..size(line.shipped)]))
    }

    /// What comes back is credited at the slices that left first.
    pub fn credited(&self) -> Slice {
        sum(self.lines.iter().flat_map(|line| &line.pieces[..size(line.returned)]))
    }
}

/// Everything that a history owns.
#[derive(Clone, Debug, Default)]
pub struct World {
    /// Pieces on the shelf, by item.
    pub on_hand: Vec<i64>,
    /// In the order in which they were placed.
    pub orders: Vec<Order>,
}

impl World {
    /// Nothing of so many items.
    pub fn of(skus: usize) -> Self {
        Self { on_hand: vec![0; skus], orders: Vec::new() }
    }

    fn lines_of(&self, sku: usize) -> impl Iterator<Item = &Line> {
        self.orders.iter().flat_map(|order| &order.lines).filter(move |line| line.sku == sku)
    }

    /// Promised of an item and still there.
    pub fn reserved(&self, sku: usize) -> i64 {
        self.lines_of(sku).map(|line| line.reserved).sum()
    }

    /// Waited for.
    pub fn backordered(&self, sku: usize) -> i64 {
        self.lines_of(sku).map(|line| line.backordered).sum()
    }

    /// Can be promised.
    pub fn free(&self, sku: usize) -> i64 {
        self.on_hand[sku] - self.reserved(sku)
    }

    /// An order is placed, promised, and, if it is straight through, shipped.
    pub fn place(&mut self, new: &NewOrder) {
        self.add(new, Fate::Confirmed);
        self.settle();
    }

    /// Inventory reserves for an order that nobody places.
    pub fn reserve_bare(&mut self, new: &NewOrder) {
        self.add(new, Fate::Bare);
        self.settle();
    }

    fn add(&mut self, new: &NewOrder, fate: Fate) {
        let mut free: Vec<i64> = (0..self.on_hand.len()).map(|sku| self.free(sku)).collect();
        let mut lines: Vec<Line> = new.lines.iter().map(Line::new).collect();
        for line in &mut lines {
            line.reserved = line.ordered.min(free[line.sku]);
            free[line.sku] -= line.reserved;
        }
        let nothing = lines.iter().all(|line| line.reserved == 0);
        let short = lines.iter().any(|line| line.reserved < line.ordered);
        let refused = match new.policy {
            Policy::AllOrNothing => short,
            Policy::WhatIsThere => nothing,
            Policy::Backorder => false,
        };
        let is_rejected = refused || new.declined;
        for line in &mut lines {
            let missing = line.ordered - line.reserved;
            match new.policy {
                _ if is_rejected => line.reserved = 0,
                Policy::Backorder => line.backordered = missing,
                Policy::AllOrNothing | Policy::WhatIsThere => line.cancelled = missing,
            }
            line.charge();
        }
        let fate = if is_rejected { Fate::Rejected } else { fate };
        let NewOrder { policy, straight, priority, placed_at, .. } = *new;
        self.orders.push(Order { policy, straight, priority, placed_at, fate, lines });
    }

    /// Goods come in.
    pub fn receive(&mut self, sku: usize, quantity: i64) {
        self.on_hand[sku] += quantity;
        self.settle();
    }

    /// Quantities by line (from 0) that have not left are cancelled.
    pub fn cancel(&mut self, order: usize, quantities: &[(usize, i64)]) {
        for (line, quantity) in quantities {
            self.orders[order].lines[*line].cancel(*quantity);
        }
        self.settle();
    }

    /// Changes of an order, none of a line that another names. False, and nothing happens, where not enough is there for more
    /// of an order that does not wait.
    pub fn change(&mut self, order: usize, edits: &[Edit]) -> bool {
        let old = &self.orders[order];
        // First the lines that are added, then what is more of others, in their order.
        let added =
            edits.iter().filter_map(|edit| if let Edit::Add(wish) = edit { Some(Line::new(wish)) } else { None });
        let mut new: Vec<Line> = added.collect();
        for (l, line) in old.lines.iter().enumerate() {
            for edit in edits {
                if let Edit::Quantity { line: named, quantity } = edit {
                    let more = quantity - line.shipped - line.open();
                    if *named == l && more > 0 {
                        new.push(line.more(more));
                    }
                }
            }
        }

        // What is more is taken from what is free before the rest lets go.
        let mut free: Vec<i64> = (0..self.on_hand.len()).map(|sku| self.free(sku)).collect();
        for line in &mut new {
            line.reserved = line.ordered.min(free[line.sku]);
            free[line.sku] -= line.reserved;
            line.backordered = line.ordered - line.reserved;
            line.charge();
        }
        let order = &mut self.orders[order];
        if order.policy != Policy::Backorder && new.iter().any(|line| line.backordered > 0) {
            return false;
        }
        for edit in edits {
            match edit {
                Edit::Quantity { line, quantity } => {
                    let line = &mut order.lines[*line];
                    line.cancel((line.shipped + line.open() - quantity).max(0));
                }
                Edit::Remove { line } => {
                    let line = &mut order.lines[*line];
                    line.cancel(line.open());
                }
                Edit::Rest => order.lines.iter_mut().for_each(|line| line.cancel(line.open())),
                Edit::Price { line, price, discount, tax } => order.lines[*line].reprice(*price, *discount, *tax),
                Edit::Add(_) | Edit::Address => {}
            }
        }
        order.lines.append(&mut new);
        self.settle();
        true
    }

    /// The shelf is counted, and the books are made to agree. What is missing is taken from what is free; then those fall
    /// short who would be served last.
    pub fn count(&mut self, sku: usize, counted: i64) {
        let difference = counted - self.on_hand[sku];
        let mut short = -difference - self.free(sku);
        self.on_hand[sku] = counted;
        for (order, line) in self.confirmed_holders(sku).into_iter().rev() {
            let waits = self.orders[order].policy == Policy::Backorder;
            let line = &mut self.orders[order].lines[line];
            let taken = short.clamp(0, line.reserved);
            short -= taken;
            line.reserved -= taken;
            if waits {
                line.backordered += taken;
            } else {
                line.cancelled += taken;
                line.pieces.truncate(size(line.shipped + line.open()));
            }
        }
        self.settle();
    }

    /// Lines of confirmed orders that hold some of an item, those who are served first before the others.
    pub fn confirmed_holders(&self, sku: usize) -> Vec<(usize, usize)> {
        let mut holders = Vec::new();
        for (o, order) in self.orders.iter().enumerate().filter(|(_, order)| order.fate == Fate::Confirmed) {
            for (l, _) in order.lines.iter().enumerate().filter(|(_, line)| line.sku == sku && line.reserved > 0) {
                holders.push((order.priority, order.placed_at, o, l));
            }
        }
        holders.sort_unstable();
        holders.into_iter().map(|(_, _, order, line)| (order, line)).collect()
    }

    /// Quantities by line (from 0) come back, as good as new.
    pub fn take_back(&mut self, order: usize, quantities: &[(usize, i64)]) {
        for (line, quantity) in quantities {
            let line = &mut self.orders[order].lines[*line];
            line.returned += quantity;
            self.on_hand[line.sku] += quantity;
        }
        self.settle();
    }

    /// Time passes: what was never confirmed lapses.
    pub fn lapse(&mut self) {
        for order in self.orders.iter_mut().filter(|order| order.fate == Fate::Bare) {
            order.fate = Fate::Lapsed;
            for line in &mut order.lines {
                (line.reserved, line.backordered) = (0, 0);
            }
        }
        self.settle();
    }

    /// Who waits gets what is free, by priority, then age, then line; and what can leave leaves.
    fn settle(&mut self) {
        for sku in 0..self.on_hand.len() {
            let mut queue: Vec<(i32, i64, usize, usize)> = Vec::new();
            for (o, order) in self.orders.iter().enumerate() {
                for (l, line) in order.lines.iter().enumerate() {
                    if line.sku == sku && line.backordered > 0 {
                        queue.push((order.priority, order.placed_at, o, l));
                    }
                }
            }
            queue.sort_unstable();
            for (_, _, order, line) in queue {
                let free = self.free(sku);
                let line = &mut self.orders[order].lines[line];
                let filled = free.min(line.backordered);
                line.backordered -= filled;
                line.reserved += filled;
            }
        }
        for order in self.orders.iter_mut().filter(|order| order.straight && order.fate == Fate::Confirmed) {
            for line in &mut order.lines {
                self.on_hand[line.sku] -= line.reserved;
                line.shipped += line.reserved;
                line.reserved = 0;
            }
        }
    }
}

/// Cents for pieces at a price in millionths of a euro, half-even, once.
pub fn line_total(price: i64, quantity: i64) -> i64 {
    half_even(price * quantity, 10_000)
}

/// The first `quantity` of `of` pieces.
fn part_of(amounts: Amounts, quantity: i64, of: i64) -> Amounts {
    let part = |amount: i64| half_even(amount * quantity, of);
    Amounts { line_total: part(amounts.line_total), discount: part(amounts.discount), tax: part(amounts.tax) }
}

/// What each of so many pieces comes to: r(T·b/Q) − r(T·(b−1)/Q), of the net amount and of the tax.
fn slices(amounts: Amounts, quantity: i64) -> Vec<Slice> {
    let upto = |amount: i64, b: i64| half_even(amount * b, quantity);
    let net = amounts.line_total - amounts.discount;
    let piece =
        |b: i64| Slice { net: upto(net, b) - upto(net, b - 1), tax: upto(amounts.tax, b) - upto(amounts.tax, b - 1) };
    (1..=quantity).map(piece).collect()
}

/// a ÷ b, rounded half-even. Neither is negative.
fn half_even(a: i64, b: i64) -> i64 {
    let (quotient, twice) = (a / b, a % b * 2);
    if twice > b || (twice == b && quotient % 2 == 1) { quotient + 1 } else { quotient }
}

fn sum<'a>(slices: impl Iterator<Item = &'a Slice>) -> Slice {
    slices.fold(Slice::default(), |sum, one| Slice { net: sum.net + one.net, tax: sum.tax + one.tax })
}

fn size(quantity: i64) -> usize {
    usize::try_from(quantity).unwrap_or(0)
}
