/** Where `mount.composefs` starts; bin/mount.composefs runs it as one bundled file. */

import { main } from "../main.ts";

void main("mount.composefs", () => import("../drop-ins/mount-composefs.ts"));
