"""What tests share: small checkpoints, artifacts and indexes, and scripts in processes of their own."""
