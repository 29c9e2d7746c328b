module skygate/peers/service

go 1.24
