"""Training of the built-in models: `python -m mindeye_cli.builtin {vae,clip,net,generator}`."""
