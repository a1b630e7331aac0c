/** Which conversation this tab is in; kept over a reload, and shared by chat and snapshots. */
import { store, useStored } from "../kit/stored";

const KEY = "soundstage.session";

export const goTo = (session: string) => store(KEY, session || null, sessionStorage);
export const useSession = () => useStored(() => sessionStorage.getItem(KEY) ?? "");
