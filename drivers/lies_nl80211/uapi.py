"""Numbers of linux/nl80211.h, linux/genetlink.h and linux/rtnetlink.h that the driver uses."""

from enum import IntEnum


class Cmd(IntEnum):
    """Commands of nl80211 (enum nl80211_commands)."""

    GET_INTERFACE = 5
    NEW_INTERFACE = 7
    DEL_INTERFACE = 8
    START_AP = 15
    STOP_AP = 16
    GET_STATION = 17
    NEW_STATION = 19
    DEL_STATION = 20
    GET_SCAN = 32
    TRIGGER_SCAN = 33
    NEW_SCAN_RESULTS = 34
    SCAN_ABORTED = 35
    REG_CHANGE = 36
    AUTHENTICATE = 37
    ASSOCIATE = 38
    DEAUTHENTICATE = 39
    DISASSOCIATE = 40
    CONNECT = 46
    ROAM = 47
    DISCONNECT = 48
    GET_SURVEY = 50
    NEW_SURVEY_RESULTS = 51
    SET_CQM = 63
    NOTIFY_CQM = 64
    CH_SWITCH_NOTIFY = 88
    CH_SWITCH_STARTED_NOTIFY = 110
    WIPHY_REG_CHANGE = 113
    PORT_AUTHORIZED = 125


class Attr(IntEnum):
    """Attributes of nl80211 (enum nl80211_attrs)."""

    WIPHY = 1
    IFINDEX = 3
    IFNAME = 4
    IFTYPE = 5
    MAC = 6
    STA_INFO = 21
    WIPHY_FREQ = 38
    SCAN_FREQUENCIES = 44
    SCAN_SSIDS = 45
    BSS = 47
    FRAME = 51
    SSID = 52
    AUTH_TYPE = 53
    REASON_CODE = 54
    TIMED_OUT = 65
    DISCONNECTED_BY_AP = 71
    STATUS_CODE = 72
    REQ_IE = 77
    PREV_BSSID = 79
    SURVEY_INFO = 84
    CQM = 94
    SCAN_FLAGS = 158
    PORT_AUTHORIZED = 259


class Cqm(IntEnum):
    """Attributes inside Attr.CQM (enum nl80211_attr_cqm)."""

    RSSI_THOLD = 1
    RSSI_HYST = 2
    RSSI_THRESHOLD_EVENT = 3
    PKT_LOSS_EVENT = 4
    BEACON_LOSS_EVENT = 8
    RSSI_LEVEL = 9


class Bss(IntEnum):
    """Attributes inside Attr.BSS (enum nl80211_bss)."""

    BSSID = 1
    FREQUENCY = 2
    CAPABILITY = 5
    INFORMATION_ELEMENTS = 6
    SIGNAL_MBM = 7
    STATUS = 9
    SEEN_MS_AGO = 10
    BEACON_IES = 11
    LAST_SEEN_BOOTTIME = 15


class Sta(IntEnum):
    """Attributes inside Attr.STA_INFO (enum nl80211_sta_info)."""

    SIGNAL = 7
    TX_BITRATE = 8
    TX_RETRIES = 11
    SIGNAL_AVG = 13
    STA_FLAGS = 17
    BEACON_SIGNAL_AVG = 30
    ASSOC_AT_BOOTTIME = 42


class Survey(IntEnum):
    """Attributes inside Attr.SURVEY_INFO (enum nl80211_survey_info)."""

    FREQUENCY = 1
    NOISE = 2
    IN_USE = 3


class IfType(IntEnum):
    """Kinds of wireless interface (enum nl80211_iftype)."""

    STATION = 2
    AP = 3
    P2P_CLIENT = 8
    P2P_GO = 9


CQM_LOW, CQM_HIGH, CQM_BEACON_LOSS = 0, 1, 2  # values of Cqm.RSSI_THRESHOLD_EVENT
BSS_ASSOCIATED = 1  # value of Bss.STATUS
CAPABILITY_PRIVACY = 0x10  # of Bss.CAPABILITY
FLAG_AUTHORIZED, FLAG_TDLS_PEER, FLAG_ASSOCIATED = 1 << 1, 1 << 6, 1 << 7  # enum nl80211_sta_flags
RATE_BITRATE, RATE_BITRATE32 = 1, 5  # enum nl80211_rate_info, in 100 kbit/s
AUTHTYPE_OPEN_SYSTEM = 0
STATUS_GO_ON = {0, 76, 126, 127}  # success; SAE: a token is asked for, hash to element, public key

FAMILY = "nl80211"
GROUPS = ("mlme", "scan", "config", "regulatory")
GENL_ID_CTRL, CTRL_CMD_GETFAMILY = 16, 3
CTRL_ATTR_FAMILY_ID, CTRL_ATTR_FAMILY_NAME, CTRL_ATTR_MCAST_GROUPS = 1, 2, 7
CTRL_ATTR_MCAST_GRP_NAME, CTRL_ATTR_MCAST_GRP_ID = 1, 2

RTM_NEWLINK, RTM_DELLINK, RTM_GETLINK = 16, 17, 18
IFF_UP = 0x1
IFLA_IFNAME, IFLA_OPERSTATE, IFLA_LINKMODE = 3, 16, 17
IF_OPER_UP, LINK_MODE_DORMANT = 6, 1

NLMSG_ERROR, NLMSG_DONE = 2, 3
NLM_F_REQUEST, NLM_F_ACK, NLM_F_DUMP = 0x1, 0x4, 0x300
NLM_F_DUMP_INTR = 0x10
NLM_F_CAPPED, NLM_F_ACK_TLVS = 0x100, 0x200  # of an NLMSG_ERROR
