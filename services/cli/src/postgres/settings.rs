//! What the private server is told about its machine and its work.

use std::fs;

/// What differs between clusters.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The most connections at a time.
    pub max_connections: u32,
    /// Whether committed work survives a crash of the machine. Without it the server is faster, and its data is only
    /// good for throwing away.
    pub durable: bool,
}

impl Settings {
    /// For data that people rely on.
    pub fn durable() -> Self {
        Self { max_connections: 300, durable: true }
    }

    /// For tests: many at once, each with a pool of its own, and nothing to lose.
    pub fn throw_away() -> Self {
        Self { max_connections: 500, durable: false }
    }

    /// The server's configuration file. `has_lz4` tells whether the server was built with that compression.
    pub(super) fn render(&self, memory: u64, has_lz4: bool) -> String {
        const MB: u64 = 1 << 20;
        let shared_buffers = (memory / 8 / MB).clamp(32, 512);
        let cache = (memory / 2 / MB).max(64);
        let mut text = format!(
            "# Written by pesan at every start. For settings of your own use ALTER SYSTEM: it wins over this file.\n\
             listen_addresses = '127.0.0.1'\n\
             unix_socket_directories = ''\n\
             max_connections = {}\n\
             superuser_reserved_connections = 5\n\
             max_locks_per_transaction = 256\n\
             password_encryption = scram-sha-256\n\
             shared_buffers = {shared_buffers}MB\n\
             effective_cache_size = {cache}MB\n\
             work_mem = 8MB\n\
             maintenance_work_mem = 128MB\n\
             max_wal_size = 4GB\n\
             min_wal_size = 256MB\n\
             checkpoint_timeout = 15min\n\
             checkpoint_completion_target = 0.9\n\
             wal_compression = {}\n\
             random_page_cost = 1.1\n\
             effective_io_concurrency = 64\n\
             jit = off\n\
             logging_collector = off\n\
             log_line_prefix = '%m [%p] %q%u@%d '\n\
             log_lock_waits = on\n",
            self.max_connections,
            if has_lz4 { "lz4" } else { "on" },
        );
        if self.durable {
            // Queues and outboxes are small tables with much traffic: vacuum them early, and without long pauses.
            text.push_str(
                "fsync = on\n\
                 synchronous_commit = on\n\
                 full_page_writes = on\n\
                 autovacuum = on\n\
                 autovacuum_naptime = 15s\n\
                 autovacuum_vacuum_scale_factor = 0.05\n\
                 autovacuum_analyze_scale_factor = 0.05\n\
                 autovacuum_vacuum_cost_limit = 2000\n",
            );
        } else {
            text.push_str(
                "fsync = off\n\
                 synchronous_commit = off\n\
                 full_page_writes = off\n\
                 wal_level = minimal\n\
                 max_wal_senders = 0\n",
            );
        }
        text
    }
}

/// The memory this process may use, in bytes: the machine's, or the container's where that is less.
pub(super) fn memory() -> u64 {
    const UNKNOWN: u64 = 1 << 30;
    let machine = fs::read_to_string("/proc/meminfo").ok().and_then(|text| {
        let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?.trim();
        Some(line.strip_suffix("kB")?.trim().parse::<u64>().ok()? * 1024)
    });
    let limits = ["/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"];
    let container = limits.iter().filter_map(|file| fs::read_to_string(file).ok()?.trim().parse().ok());
    container.chain(machine).min().unwrap_or(UNKNOWN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_throw_away_cluster_risks_its_data() {
        let durable = Settings::durable().render(8 << 30, true);
        assert!(durable.contains("\nfsync = on\n") && durable.contains("\nsynchronous_commit = on\n"));
        assert!(!durable.contains("off\nfull_page_writes"));
        assert!(Settings::throw_away().render(8 << 30, true).contains("\nfsync = off\n"));
    }

    #[test]
    fn shared_buffers_follow_the_memory_within_bounds() {
        let buffers = |memory| {
            let text = Settings::durable().render(memory, false);
            text.lines().find_map(|line| line.strip_prefix("shared_buffers = ").map(str::to_owned)).unwrap()
        };
        assert_eq!(buffers(128 << 20), "32MB");
        assert_eq!(buffers(2 << 30), "256MB");
        assert_eq!(buffers(64 << 30), "512MB");
    }
}
