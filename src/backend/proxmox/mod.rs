//! The Proxmox VE API over HTTPS, behind the cluster port.
