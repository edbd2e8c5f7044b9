# The layer table: every library, and the libraries it may name. Order is build order; nothing looks up.
# brainlock_library() refuses a link that is not listed here.
set(BRAINLOCK_LAYERS
  base crypto math device device_cuda ckks ckks_client plan compiler runtime wire package keyholder
  score store ledger scale_codec chain net protocol sampler simulation miner client client_page client_c client_wasm validator doctor update)

set(BRAINLOCK_MAY_USE_base "")
set(BRAINLOCK_MAY_USE_crypto base)
set(BRAINLOCK_MAY_USE_math base crypto)
set(BRAINLOCK_MAY_USE_device base math)
# The only library that sees CUDA.
set(BRAINLOCK_MAY_USE_device_cuda base math device)
set(BRAINLOCK_MAY_USE_ckks base crypto math device)
set(BRAINLOCK_MAY_USE_ckks_client base crypto math device ckks)
set(BRAINLOCK_MAY_USE_plan base)
# The compiler takes from ckks its parameters (the security table) and its encoder (how weights are rounded); never keys or evaluators.
set(BRAINLOCK_MAY_USE_compiler base plan math ckks)
set(BRAINLOCK_MAY_USE_runtime base math device device_cuda ckks plan)
set(BRAINLOCK_MAY_USE_wire base crypto math ckks plan)
set(BRAINLOCK_MAY_USE_package base crypto plan ckks wire)
# The client's half without a network: what the command, the network's clients and the C library share.
set(BRAINLOCK_MAY_USE_keyholder base crypto ckks ckks_client plan wire package)
set(BRAINLOCK_MAY_USE_score base)
set(BRAINLOCK_MAY_USE_store base)
set(BRAINLOCK_MAY_USE_ledger base crypto store)
set(BRAINLOCK_MAY_USE_scale_codec base)
set(BRAINLOCK_MAY_USE_chain base crypto scale_codec ledger)
set(BRAINLOCK_MAY_USE_net base crypto)
set(BRAINLOCK_MAY_USE_protocol base crypto)
set(BRAINLOCK_MAY_USE_sampler base)
set(BRAINLOCK_MAY_USE_simulation base score ledger sampler)
# A miner can name no secret FHE key: ckks_client is absent from its line, and stays so.
set(BRAINLOCK_MAY_USE_miner base crypto math device device_cuda ckks plan runtime wire package net protocol ledger)
# A validator asks miners as any client does, and judges the answers by its own run of the model in the clear.
set(BRAINLOCK_MAY_USE_validator base crypto math device ckks ckks_client plan compiler wire package net protocol store ledger score sampler client)
set(BRAINLOCK_MAY_USE_client base crypto math device ckks ckks_client plan wire package keyholder ledger chain net protocol)
set(BRAINLOCK_MAY_USE_client_page base crypto plan package net protocol client)
# What other languages embed: never the server's half (runtime, miner, device_cuda), and no compiler, so that nobody's process gets ONNX and protobuf.
set(BRAINLOCK_MAY_USE_client_c base crypto math plan ckks ckks_client wire package keyholder ledger chain sampler net protocol client)
# The same for a page in a browser, whose own network carries what the module signs.
set(BRAINLOCK_MAY_USE_client_wasm base crypto math plan ckks ckks_client wire package keyholder protocol)
# The doctor looks at all that a miner or a validator is made of, and makes no FHE keys.
set(BRAINLOCK_MAY_USE_doctor base crypto math device device_cuda ckks plan runtime wire package store ledger chain net protocol sampler miner)
# Releases and their signatures: stands beside the services, knows none of them.
set(BRAINLOCK_MAY_USE_update base crypto net)
