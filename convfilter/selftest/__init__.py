"""The engine, as compiled for the machine it runs on, held to what it promises."""
