//! Where the services are, and clients of their APIs.

use std::time::Duration;

use anyhow::{Context, Result};
use clap::ValueEnum;
use pesan_api::{analytics, billing, feed, fulfilment, inventory, order, proof};
use pesan_grpc::channel::{self, MAX_MESSAGE_BYTES, PeerChannel};

/// One of the five services.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, ValueEnum)]
pub enum Service {
    Order,
    Inventory,
    Fulfilment,
    Billing,
    Analytics,
}

impl Service {
    /// All of them, in the order in which an order meets them.
    pub const ALL: [Self; 5] = [Self::Order, Self::Inventory, Self::Fulfilment, Self::Billing, Self::Analytics];

    /// As in events, endpoints and environment variables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Order => "order",
            Self::Inventory => "inventory",
            Self::Fulfilment => "fulfilment",
            Self::Billing => "billing",
            Self::Analytics => "analytics",
        }
    }

    /// Where it answers unless told otherwise.
    pub fn port(self) -> u16 {
        match self {
            Self::Order => 50051,
            Self::Inventory => 50052,
            Self::Fulfilment => 50053,
            Self::Billing => 50054,
            Self::Analytics => 50055,
        }
    }

    /// The service of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|service| service.name() == name)
    }
}

/// Where to find the suite.
#[derive(clap::Args, Clone, Debug)]
pub struct Endpoints {
    /// The machine on which all services answer at their usual ports
    #[arg(
        long,
        global = true,
        env = "PESAN_HOST",
        default_value = "127.0.0.1",
        value_name = "HOST",
        help_heading = "Suite"
    )]
    host: String,
    /// The order service, if it is elsewhere: http://HOST:PORT
    #[arg(long, global = true, env = "PESAN_ORDER_ENDPOINT", value_name = "URL", help_heading = "Suite")]
    order_endpoint: Option<String>,
    /// The inventory service, if it is elsewhere
    #[arg(long, global = true, env = "PESAN_INVENTORY_ENDPOINT", value_name = "URL", help_heading = "Suite")]
    inventory_endpoint: Option<String>,
    /// The fulfilment service, if it is elsewhere
    #[arg(long, global = true, env = "PESAN_FULFILMENT_ENDPOINT", value_name = "URL", help_heading = "Suite")]
    fulfilment_endpoint: Option<String>,
    /// The billing service, if it is elsewhere
    #[arg(long, global = true, env = "PESAN_BILLING_ENDPOINT", value_name = "URL", help_heading = "Suite")]
    billing_endpoint: Option<String>,
    /// The analytics service, if it is elsewhere
    #[arg(long, global = true, env = "PESAN_ANALYTICS_ENDPOINT", value_name = "URL", help_heading = "Suite")]
    analytics_endpoint: Option<String>,
}

impl Endpoints {
    /// Each service where it is said to be, as `http://host:port`.
    pub fn at(place: impl Fn(Service) -> String) -> Self {
        Self {
            host: String::new(),
            order_endpoint: Some(place(Service::Order)),
            inventory_endpoint: Some(place(Service::Inventory)),
            fulfilment_endpoint: Some(place(Service::Fulfilment)),
            billing_endpoint: Some(place(Service::Billing)),
            analytics_endpoint: Some(place(Service::Analytics)),
        }
    }

    /// The address of a service, as `http://host:port`.
    pub fn of(&self, service: Service) -> String {
        let own = match service {
            Service::Order => &self.order_endpoint,
            Service::Inventory => &self.inventory_endpoint,
            Service::Fulfilment => &self.fulfilment_endpoint,
            Service::Billing => &self.billing_endpoint,
            Service::Analytics => &self.analytics_endpoint,
        };
        own.clone().unwrap_or_else(|| format!("http://{}:{}", self.host, service.port()))
    }

    /// Clients of all services; each connects when it is first used and waits at most `timeout` for an answer.
    pub fn connect(&self, timeout: Duration) -> Result<Suite> {
        let open = |service: Service| {
            let endpoint = self.of(service);
            channel::lazy(&endpoint, timeout)
                .with_context(|| format!("{endpoint} is not an address for {}", service.name()))
        };
        let mut channels = Vec::with_capacity(Service::ALL.len());
        for service in Service::ALL {
            channels.push(open(service)?);
        }
        Ok(Suite { channels })
    }
}

/// Clients of the five services.
#[derive(Clone)]
pub struct Suite {
    /// In the order of [`Service::ALL`].
    channels: Vec<PeerChannel>,
}

type Orders = order::v1::order_service_client::OrderServiceClient<PeerChannel>;
type Customers = order::v1::customer_service_client::CustomerServiceClient<PeerChannel>;
type Returns = order::v1::return_service_client::ReturnServiceClient<PeerChannel>;
type Items = inventory::v1::item_service_client::ItemServiceClient<PeerChannel>;
type Stock = inventory::v1::stock_service_client::StockServiceClient<PeerChannel>;
type Reservations = inventory::v1::reservation_service_client::ReservationServiceClient<PeerChannel>;
type Fulfilment = fulfilment::v1::fulfilment_service_client::FulfilmentServiceClient<PeerChannel>;
type ReturnReceipts = fulfilment::v1::return_receipt_service_client::ReturnReceiptServiceClient<PeerChannel>;
type Accounts = billing::v1::account_service_client::AccountServiceClient<PeerChannel>;
type Documents = billing::v1::document_service_client::DocumentServiceClient<PeerChannel>;
type Payments = billing::v1::payment_service_client::PaymentServiceClient<PeerChannel>;
type Analytics = analytics::v1::analytics_service_client::AnalyticsServiceClient<PeerChannel>;
type Feed = feed::v1::feed_service_client::FeedServiceClient<PeerChannel>;
type Proof = proof::v1::proof_service_client::ProofServiceClient<PeerChannel>;

impl Suite {
    fn channel(&self, service: Service) -> PeerChannel {
        self.channels[service as usize].clone()
    }

    /// Customers of the order service.
    pub fn customers(&self) -> Customers {
        Customers::new(self.channel(Service::Order)).max_decoding_message_size(MAX_MESSAGE_BYTES)
    }

    /// Orders.
    pub fn orders(&self) -> Orders {
        Orders::new(self.channel(Service::Order)).max_decoding_message_size(MAX_MESSAGE_BYTES)
    }

    /// Returns, as the order service permits them.
    pub fn returns(&self) -> Returns {
        Returns::new(self.channel(Service::Order)).max_decoding_message_size(MAX_MESSAGE_BYTES)
    }

    /// Items and locations.
    pub fn items(&self) -> Items {
        Items::new(self.channel(Service::Inventory)).max_decoding_message_size(MAX_MESSAGE_BYTES)
    }

    /// Stock and its movements.
    pub fn stock(&self) -> Stock {
        Stock::new(self.channel(Service::Inventory)).max_decoding_message_size(MAX_MESSAGE_BYTES)
    }

    /// Reservations.
    pub fn reservations(&self) -> Reservations {
        Reservations::new(self.channel(Service::Inventory)).max_decoding_message_size(MAX_MESSAGE_BYTES)
    }

    /// The warehouse's work.
    pub fn fulfilment(&self) -> Fulfilment {
        Fulfilment::new(self.channel(Service::Fulfilment)).max_decoding_message_size(MAX_MESSAGE_BYTES)
    }

    /// Returns, as the warehouse receives them.
    pub fn return_receipts(&self) -> ReturnReceipts {
        ReturnReceipts::new(self.channel(Service::Fulfilment)).max_decoding_message_size(MAX_MESSAGE_BYTES)
    }

    /// Customers' accounts.
    pub fn accounts(&self) -> Accounts {
        Accounts::new(self.channel(Service::Billing)).max_decoding_message_size(MAX_MESSAGE_BYTES)
    }

    /// Invoices, credit notes and the ledger.
    pub fn documents(&self) -> Documents {
        Documents::new(self.channel(Service::Billing)).max_decoding_message_size(MAX_MESSAGE_BYTES)
    }

    /// Authorisations and payments.
    pub fn payments(&self) -> Payments {
        Payments::new(self.channel(Service::Billing)).max_decoding_message_size(MAX_MESSAGE_BYTES)
    }

    /// KPIs and journeys.
    pub fn analytics(&self) -> Analytics {
        Analytics::new(self.channel(Service::Analytics)).max_decoding_message_size(MAX_MESSAGE_BYTES)
    }

    /// The facts of a service.
    pub fn feed(&self, service: Service) -> Feed {
        Feed::new(self.channel(service)).max_decoding_message_size(MAX_MESSAGE_BYTES)
    }

    /// The proof of a service.
    pub fn proof(&self, service: Service) -> Proof {
        Proof::new(self.channel(service)).max_decoding_message_size(MAX_MESSAGE_BYTES)
    }
}
