//! Reads what the deployment folder says and checks it against the house.
