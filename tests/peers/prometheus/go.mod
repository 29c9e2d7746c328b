module skygate/peers/prometheus

go 1.24

require skygate/peers/service v0.0.0

replace skygate/peers/service => ../service
