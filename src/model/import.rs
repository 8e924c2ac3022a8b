//! Networks that PyTorch trained.
