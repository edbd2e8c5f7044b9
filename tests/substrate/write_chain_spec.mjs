// Writes the specification of a chain whose first block carries its whole runtime: Statemine on Rococo, 2023.
import { writeFileSync } from 'node:fs';
import { rococo_v2_2_asset_hub as specification } from '@substrate/connect-known-chains';

writeFileSync(process.argv[2], specification);
